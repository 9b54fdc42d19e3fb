// The list of layers, and the channels of the one that is chosen.

import { $, button, capital, make, many, number } from "./elements.js";
import { ask, only, trouble } from "./server.js";
import { at, shortOf, titleOf } from "./state.js";
import { showChannel } from "./channel.js";

const SHEET = 64;  // channels of one answer

/** Fills the list, and listens to it and to the channels. */
export const startLayers = () => {
  let group = null;
  for (const layer of at.model.layers) {
    if (layer.stage && group?.label !== layer.stage) {
      group = make("optgroup");
      group.label = layer.stage;
      $("layers").append(group);
    }
    const option = make("option", described(layer));
    option.value = layer.number;
    (layer.stage ? group : $("layers")).append(option);
  }
  $("layers").addEventListener("change", () => showLayer(Number($("layers").value)));
  $("more").addEventListener("click", showMore);
  $("channels").addEventListener("keydown", moveByKeys);
};

/** A layer in the list: within its stage, by its kind and its size. */
const described = (layer) => {
  const own = layer.name.startsWith(`${layer.stage}/`) ? `${layer.name.slice(layer.stage.length + 1)}, ` : "";
  const size = layer.height * layer.width === 1 ? layer.channels : `${layer.height}\u00d7${layer.width}\u00d7${layer.channels}`;
  const kernel = layer.kernel && Math.max(...layer.kernel) > 0 ? ` ${layer.kernel.join("\u00d7")}` : "";
  return `${own}${layer.number ? layer.kind : layer.name}${kernel}: ${size}`;
};

/** Shows a layer: the channel and pixel that are wanted, or the channel of the widest range; of a vector, the largest value. */
export const showLayer = only("layer", async (stale, index, wanted = {}) => {
  trouble("");
  const layer = at.model.layers[index];
  const channel = wanted.channel ?? (at.layer === index ? at.channel : null);
  const first = channel === null ? 0 : Math.floor(channel / SHEET) * SHEET;
  const sheet = await ask(`/pictures/${at.picture}/layers/${index}?first=${first}`);
  if (stale()) return;
  at.layer = index;
  $("layers").value = index;
  $("channels").replaceChildren();
  addChannels(layer, sheet);
  const vector = layer.height * layer.width === 1;
  const widths = sheet.high.map((high, n) => (vector ? high : high - sheet.low[n]));
  await showChannel(channel ?? widths.indexOf(Math.max(...widths)), wanted);
});

const showMore = only("more", async (stale) => {
  const index = at.layer, first = Number($("more").dataset.first);
  const sheet = await ask(`/pictures/${at.picture}/layers/${index}?first=${first}`);
  if (stale() || index !== at.layer) return;
  addChannels(at.model.layers[index], sheet);
  $("channels").querySelector(`[data-channel="${first}"]`).focus();
});

/** Adds the channels of a sheet, which is one image of all their maps. */
const addChannels = (layer, sheet) => {
  const vector = layer.height * layer.width === 1;
  sheet.low.forEach((low, index) => {
    const channel = sheet.first + index;
    const element = button("", () => showChannel(channel), "channel");
    const short = shortOf(layer, channel);
    element.append(tile(layer, sheet, index), short);
    const words = vector ? number(low, 3) : `${number(low, 3)} to ${number(sheet.high[index], 3)}`;
    element.title = element.ariaLabel = `${short === String(channel) ? "channel " : ""}${short}: ${words}`;
    element.dataset.channel = channel;
    element.setAttribute("role", "option");
    element.tabIndex = -1;
    $("channels").append(element);
  });
  const end = sheet.first + sheet.low.length;
  $("more").hidden = end >= layer.channels;
  $("more").dataset.first = end;
  const from = Number($("channels").firstChild.dataset.channel);
  const shown = from || end < layer.channels ? `, ${from} to ${end - 1} are shown` : "";
  $("channels-title").textContent = `${capital(titleOf(layer))}: ${many(layer.channels, vector ? "value" : "channel")}${shown}`;
};

/** One map of a sheet. */
const tile = (layer, sheet, index) => {
  const columns = sheet.columns, rows = Math.ceil(sheet.low.length / columns);
  const part = (n, of) => `${of > 1 ? (100 * n) / (of - 1) : 0}%`;
  const element = make("span", "", "tile");
  element.style.backgroundImage = `url(${sheet.sheet})`;
  element.style.backgroundSize = `${100 * columns}% ${100 * rows}%`;
  element.style.backgroundPosition = `${part(index % columns, columns)} ${part(Math.floor(index / columns), rows)}`;
  element.style.aspectRatio = `${layer.width} / ${layer.height}`;
  return element;
};

const moveByKeys = (event) => {
  const buttons = [...$("channels").children];
  const now = buttons.indexOf(document.activeElement);
  const columns = getComputedStyle($("channels")).gridTemplateColumns.split(" ").length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -now, End: buttons.length - 1 - now };
  const step = steps[event.key];
  if (step === undefined || now < 0) return;
  event.preventDefault();
  const next = buttons[now + step];
  if (next) {
    next.focus();
    showChannel(Number(next.dataset.channel));
  }
};
