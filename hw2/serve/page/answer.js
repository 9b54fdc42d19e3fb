// The answer: the classes with their probabilities, the picture as the model sees it, and the heat map.

import { $, make, percent } from "./elements.js";
import { ask } from "./server.js";

/** Says that a picture is being classified. */
export const awaitAnswer = () => {
  $("verdict").textContent = "Looking at the picture ...";
  $("answer").hidden = false;
  $("answer").setAttribute("aria-busy", "true");
};

/** Sends a picture, with the name that errors call it; returns what POST /predict answers. */
export const predict = (file) => {
  const form = new FormData();
  form.append("picture", file, file.name || "the photograph");
  return ask("/predict", { method: "POST", body: form });
};

/** Shows the verdict and the probabilities of what POST /predict answers. */
export const showGuesses = (found) => {
  const [best] = found.guesses;
  const verdict = $("verdict");
  verdict.replaceChildren();
  const present = found.guesses.filter((guess) => guess.present).map((guess) => guess.class);
  if (best.present !== undefined) {
    const words = present.length === 1 ? ", above its threshold" : present.length ? ", each above its threshold" : ": no class is above its threshold";
    verdict.append(make("b", present.join(", ") || "None of these"), words);
  }
  else if (found.rejected && found.distance !== undefined) verdict.append(make("b", "None of these"), `: its features are ${found.distance.toPrecision(3)} away from the nearest class, and at most ${found.reject_above.toPrecision(3)} is accepted`);
  else if (found.rejected) verdict.append(make("b", "None of these"), `: the likeliest class, ${best.class}, has only ${percent(best.probability)}`);
  else verdict.append(make("b", best.class), `, with a probability of ${percent(best.probability)}`);
  $("guesses").replaceChildren(...found.guesses.map((guess) => {
    const said = guess.present ?? (guess === best && !found.rejected);
    const row = make("tr", "", said ? "said" : ""), bar = make("span", "", "bar"), cell = make("td");
    bar.style.setProperty("--p", 100 * guess.probability);
    cell.append(bar);
    row.append(make("td", guess.class), cell, make("td", percent(guess.probability)));
    return row;
  }));
};

/** Shows what GET /pictures/PICTURE answers. */
export const showPicture = (look) => {
  $("seen").src = look.seen;
  $("heat-figure").hidden = !look.heat;
  if (look.heat) {
    $("heat").src = look.heat;
    $("heat").alt = `Heat map for ${look.class}`;
    $("heat-text").textContent = `Red is what speaks for ${look.class} (Grad-CAM)`;
  }
  $("answer").removeAttribute("aria-busy");
};
