// A channel: its map, one pixel of it, and the window that the pixel comes from.

import { $, button, capital, make, number } from "./elements.js";
import { drawMap, largest, pointed } from "./maps.js";
import { ask, only } from "./server.js";
import { at, channelOf, pathOf, titleOf } from "./state.js";
import { written } from "./sum.js";

const FIRST = 6;  // terms of a sum that are written out at first

let map = null;  // values of the channel, by rows

/** Listens to the map. */
export const startChannel = () => {
  const canvas = $("map");
  canvas.addEventListener("click", (event) => move(...pointed(canvas, event, map.length, map[0].length)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    move(at.row + step[0], at.column + step[1]);
  });
};

const move = (row, column) => {
  at.row = Math.max(0, Math.min(map.length - 1, row));
  at.column = Math.max(0, Math.min(map[0].length - 1, column));
  showPixel();
};

/** Shows a channel: the pixel that is wanted, the same place as before, or the largest value. */
export const showChannel = only("channel", async (stale, channel, wanted = {}) => {
  at.channel = channel;
  for (const option of $("channels").children) {
    const chosen = Number(option.dataset.channel) === channel;
    option.setAttribute("aria-selected", chosen);
    option.tabIndex = chosen ? 0 : -1;
    if (chosen) scrollTo($("channels"), option);
  }
  const found = await ask(pathOf());
  if (stale()) return;
  const kept = map && map.length === found.values.length && map[0].length === found.values[0].length;
  map = found.values;
  if (wanted.row !== undefined) [at.row, at.column] = [wanted.row, wanted.column];
  else if (!kept) [at.row, at.column] = largest(map);
  at.most = FIRST;
  await showPixel();
});

/** Scrolls a box, and not the page, so far that one of its children is seen. */
const scrollTo = (box, child) => {
  const top = child.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top + child.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = top - 8;
};

const showPixel = only("pixel", async (stale) => {
  const layer = at.model.layers[at.layer];
  const channel = channelOf(layer, at.channel), words = `${channel} of ${titleOf(layer)}`;
  const single = map.length * map[0].length === 1;
  $("map-figure").hidden = single;
  if (!single) {
    const [low, high] = drawMap($("map"), map, [at.row], [at.column]);
    const range = `${map.length}\u00d7${map[0].length} pixels, ${number(low, 3)} (black) to ${number(high, 3)} (white)`;
    $("map-text").textContent = `${capital(words)}: ${range}. Click one, or use the arrow keys.`;
    $("map").ariaLabel = `Map of ${words}`;
  }
  $("pixel-title").textContent = single ? `One value of ${titleOf(layer)}` : `One pixel of ${titleOf(layer)}`;
  const found = await ask(`${pathOf()}/pixels/${at.row}/${at.column}?most=${at.most}`);
  if (stale()) return;
  const place = single ? capital(channel) : `Row ${at.row}, column ${at.column} of ${channel}`;
  $("pixel").replaceChildren(`${place}: `, make("b", number(found.value, 7)));
  const { beside, below } = written(layer, found, more(found));
  $("beside").replaceChildren(...beside);
  $("sum").replaceChildren(...below);
  await showInput(stale, layer, found);
});

/**
 * A button that has more terms of a sum written out, or nothing where all are.
 *
 * It is replaced with the sum. The keyboard then is at the next such button, or at the first of the new terms.
 */
const more = (found) => {
  if (!found.rest?.channels) return null;
  const all = found.terms.length + found.rest.channels;
  const before = found.terms.length;
  return button("Show more of them", async () => {
    at.most = Math.min(4 * at.most, all);
    await showPixel();
    if (document.activeElement !== document.body) return;  // there was no answer, or the person has gone elsewhere
    const [next] = document.querySelectorAll("#beside .buttons button, #sum .buttons button");
    (next || document.querySelectorAll("#beside .link, #sum .link")[before])?.focus({ preventScroll: true });
  });
};

/** Shows the window of a pixel, in the map that its layer reads. */
const showInput = async (stale, layer, found) => {
  const [term] = found.terms;
  const source = term?.from && at.model.layers[term.from.layer];
  const seen = source && source.height * source.width > 1;
  $("input-figure").hidden = !seen;
  if (!seen) return;
  const input = await ask(pathOf(source.number, term.from.channel));
  if (stale()) return;
  const rows = found.rows.filter((row) => row !== null), columns = found.columns.filter((column) => column !== null);
  drawMap($("input"), input.values, rows, columns);
  const what = rows.length * columns.length > 1 ? "The window" : "Its pixel";
  const most = found.terms.length > 1 && layer.kernel ? "; this channel adds the most, up or down" : "";
  $("input-text").textContent = `${what} in ${channelOf(source, term.from.channel)} of ${titleOf(source)}, which it comes from${most}.`;
  $("input").ariaLabel = $("input-text").textContent;
};
