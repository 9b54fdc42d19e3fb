// The training pictures nearest to a picture. The server reads them when they are first asked for.

import { $, make, many } from "./elements.js";
import { ask, only } from "./server.js";

const PAUSE = 700;  // milliseconds between two questions while the server reads

/** Asks for the pictures nearest to one, of a name, until they are there; and shows them. */
export const showNearest = only("nearest", async (stale, picture) => {
  $("nearest").hidden = true;
  $("likes").replaceChildren();
  announce("");
  for (;;) {
    const found = await ask(`/pictures/${picture}/nearest`);
    if (stale()) return;
    $("nearest").hidden = found.state === "none" && !found.why;
    $("nearest-text").textContent = said(found);
    if (found.state !== "reading") {
      $("likes").replaceChildren(...(found.nearest || []).map(like));
      announce(found.nearest ? `${many(found.nearest.length, "nearest training picture")} found.` : found.why && said(found));
      return;
    }
    announce("Looking at the training pictures ...");
    await new Promise((done) => setTimeout(done, PAUSE));
    if (stale()) return;
  }
});

/** Has a text read aloud, once however often it is given: the count on the page changes at every question. */
const announce = (words) => {
  const news = $("nearest-news");
  if (news.textContent !== words) news.textContent = words;
};

/** What GET /pictures/PICTURE/nearest answers, in words. */
const said = (found) => {
  const count = (value) => value.toLocaleString("en");
  if (found.state === "none") return `There are none to show: ${found.why}.`;
  if (found.state === "reading") return found.total ? `Looking at the training pictures: ${count(found.done)} of ${count(found.total)} ...` : "Looking for the training pictures ...";
  const among = found.among < found.total ? `a sample of ${count(found.among)} of ${count(found.total)}` : `all ${count(found.total)}`;
  return `The training pictures whose features, the input of the last dense layer, are most like this one's. The number is their cosine similarity: 1 is the same direction. Compared with ${among}.`;
};

/** A training picture with its class, its similarity and its name. */
const like = (one) => {
  const figure = make("figure"), words = make("figcaption");
  if (one.picture) {
    const image = make("img");
    image.src = one.picture;
    image.alt = `${one.class}, a training picture`;
    figure.append(image);
  }
  words.append(make("b", one.class), ` ${one.similarity.toFixed(3)}`, make("span", one.name, "name"));
  figure.append(words);
  return figure;
};
