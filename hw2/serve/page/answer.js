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
  const [first, rest] = verdict(found, best);
  $("verdict").replaceChildren(make("b", first), rest);
  $("guesses").replaceChildren(...found.guesses.map((guess) => {
    const said = guess.present ?? (guess === best && !found.rejected);
    const row = make("tr", "", said ? "said" : ""), bar = make("span", "", "bar"), cell = make("td");
    bar.style.setProperty("--p", 100 * guess.probability);
    cell.append(bar);
    row.append(make("td", guess.class), cell, make("td", percent(guess.probability)));
    return row;
  }));
};

/** What is said of an answer: its first words, and the rest. */
const verdict = (found, best) => {
  if (best.present !== undefined) {
    const present = found.guesses.filter((guess) => guess.present).map((guess) => guess.class);
    if (!present.length) return ["None of these", ": no class is above its threshold"];
    return [present.join(", "), present.length === 1 ? ", above its threshold" : ", each above its threshold"];
  }
  if (!found.rejected) return [best.class, `, with a probability of ${percent(best.probability)}`];
  if (found.distance === undefined) return ["None of these", `: the likeliest class, ${best.class}, has only ${percent(best.probability)}`];
  const [distance, most] = [found.distance, found.reject_above].map((value) => value.toPrecision(3));
  return ["None of these", `: its features are ${distance} away from the nearest class, and at most ${most} is accepted`];
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
