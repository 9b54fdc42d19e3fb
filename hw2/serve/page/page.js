// The page: from a picture to its answer, and from there through the network.

import { awaitAnswer, predict, showGuesses, showPicture } from "./answer.js";
import { startCamera } from "./camera.js";
import { startChannel } from "./channel.js";
import { $, many } from "./elements.js";
import { showLayer, startLayers } from "./layers.js";
import { showNearest } from "./nearest.js";
import { listenForPictures } from "./picture.js";
import { ask, only, trouble } from "./server.js";
import { at } from "./state.js";

const SHOWN = 20;  // classes that are named before there is a picture

/** Classifies a picture, a file, and shows the answer and the layers. */
const take = only("picture", async (stale, file) => {
  trouble("");
  awaitAnswer();
  let found;
  try {
    found = await predict(file);
  } catch (error) {
    if (!stale()) $("answer").hidden = $("walk").hidden = true;
    throw error;
  }
  if (stale()) return;
  at.picture = found.picture;
  showGuesses(found);
  const look = await ask(`/pictures/${found.picture}`);
  if (stale()) return;
  showPicture(look);
  showNearest(found.picture);
  $("walk").hidden = false;
  await showLayer(at.layer ?? Math.min(1, at.model.layers.length - 1), at.layer === null ? {} : at);
});

/** Says which model it is. */
const describe = (model) => {
  const { height, width, channels } = model.picture;
  $("title").textContent = `Try ${model.model}`;
  document.title = `Try ${model.model} - hw2`;
  const seen = `${height}\u00d7${width} pixels, ${channels === 1 ? "grey" : "in colour"}`;
  $("about").textContent = `Step ${model.step.toLocaleString("en")}, ${many(model.classes.length, "class", "classes")}; it sees pictures of ${seen}.`;
  const { classes } = model, shown = classes.slice(0, SHOWN);
  const others = classes.length - shown.length;
  $("classes").textContent = `It tells apart: ${shown.join(", ")}${others ? ` and ${many(others, "other")}` : ""}.`;
};

listenForPictures(take);
startCamera(take);
startChannel();
$("walk").addEventListener("follow", ({ detail }) => {
  showLayer(detail.layer, detail);
  $("layers").focus({ preventScroll: true });
  $("walk").scrollIntoView();
});
try {
  at.model = await ask("/layers");
  describe(at.model);
  startLayers();
  document.documentElement.dataset.ready = "true";
} catch (error) {
  trouble(error.message);
}
