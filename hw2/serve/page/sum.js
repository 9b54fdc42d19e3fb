// A value written out as what it is computed from.

import { button, decimals, make, many, number, signed } from "./elements.js";
import { at, channelOf, titleOf } from "./state.js";

/**
 * Writes out what GET .../pixels/ROW/COLUMN answers: `beside`, elements to stand beside the map, and `below`, elements to
 * stand below both.
 *
 * Where a source is clicked, they send an event "follow" with its layer, channel, row and column. `more` is an element
 * that asks for more terms, or null.
 */
export const written = (layer, found, more) => {
  const then = found.then.flatMap((next) => [make("h3", `Then the ${next.kind}`), ...explained(at.model.layers[next.layer], next)]);
  if (!found.terms[0]?.weights) return { beside: explained(layer, found), below: then };
  if (layer.kind === "dense") return { beside: [], below: [...products(found, more), ...then] };
  if (found.rows.length * found.columns.length === 1) return { beside: products(found, more), below: then };
  return { beside: [total(found)], below: [...convolved(found, more), ...then] };
};

const explained = (layer, found) => {
  if (layer.kind === "picture") return [make("p", "This is the picture itself, standardized as the model was trained: nothing computes it.")];
  if (layer.kind in WINDOWS) return overWindow(layer, found);
  if (found.norm) return normalized(found);
  return single(layer, found);
};

/** A convolution: windows times weights, channel by channel. */
const convolved = (found, more) => {
  const [high, wide] = [found.rows.length, found.columns.length], all = found.terms.length + found.rest.channels;
  const products = `${many(high * wide * all, "product")}${found.bias === null ? ", no bias" : " and a bias"}`;
  const which = found.rest.channels ? "The channels that add the most, up or down:" : "Each number times its weight:";
  const cards = found.terms.map((term) => card(term, found,
    grid(term.inputs, "window", found), make("span", "\u00d7"), grid(term.weights, "weights"), make("span", `= ${number(term.sum)}`),
    digits({ window: term.inputs, weights: term.weights }, found)));
  return [make("p", `A window of ${high}\u00d7${wide} pixels of ${many(all, "channel")}: ${products}. ${which}`), terms(cards), ...buttons(more)];
};

/** The sum of a convolution: a line for each channel. */
const total = (found) => {
  const lines = found.terms.map((term) => [channel(term), number(term.sum)]);
  return table([...lines, ...ends(found)]);
};

/** A dense layer, or a convolution of one pixel: a line for each input. */
const products = (found, more) => {
  const all = found.terms.length + found.rest.channels;
  const source = found.terms[0].from && at.model.layers[found.terms[0].from.layer];
  const from = source ? `, the output of ${titleOf(source)}` : "";
  const which = found.rest.channels ? ". Those that add the most, up or down:" : ":";
  const lines = found.terms.map((term) => {
    const [[[x]], [[w]]] = [term.inputs, term.weights];
    return [sourceOf(term, found, false), number(x), number(w), number(term.sum)];
  });
  const scroll = scrolling(table([...lines, ...ends(found)], ["input", "value", "weight", "product"]), "products");
  const bias = found.bias === null ? "" : ", and a bias";
  return [make("p", `${many(all, "input")}${from}, each times its weight${bias}${which}`), scroll, ...buttons(more)];
};

/** The last lines of a sum. */
const ends = (found) => {
  const lines = [["sum, in double precision", number(found.sum, 9)], ["value that the network computed", number(found.value, 9)]];
  if (found.bias !== null) lines.unshift(["bias", number(found.bias)]);
  if (found.rest.channels) lines.unshift([`the other ${found.rest.channels.toLocaleString("en")}`, number(found.rest.sum)]);
  return lines;
};

/** What the source of a term is called in a line. */
const channel = (term) => {
  const source = term.from && at.model.layers[term.from.layer];
  return source ? channelOf(source, term.from.channel) : `channel ${term.channel}`;
};

const buttons = (more) => {
  if (!more) return [];
  const box = make("p", "", "buttons");
  box.append(more);
  return [box];
};

// What is said of a window without weights: its value, and its padding.
const WINDOWS = {
  "max pool": ["The largest of", "the largest is", " Padding never wins."],
  "average pool": ["The mean of", "the mean is", " Padding does not count."],
  "mean over positions": ["The mean of", "the mean is", ""],
};

const overWindow = (layer, found) => {
  const [term] = found.terms, count = term.inputs.flat().length;
  const [what, result, padding] = WINDOWS[layer.kind];
  const padded = [...found.rows, ...found.columns].includes(null);
  const few = count <= 121;
  const window = few ? [grid(term.inputs, "window", found)] : [], exact = few ? [digits({ window: term.inputs }, found)] : [];
  return [
    make("p", `${what} ${many(count, "value")} of one channel.${padded ? padding : ""}`),
    terms([card(term, found, ...window, make("span", `${result} ${number(found.sum)}`), ...exact)]),
  ];
};

const normalized = (found) => {
  const { scale, offset, mean, variance, epsilon, factor, shift } = found.norm;
  const [[x]] = found.terms[0].inputs;
  return [
    make("p", "The moving mean and variance of training make it about 0 and 1; then the scale and the offset that were learned. Together that is a factor and a shift."),
    terms([card(found.terms[0], found, make("span", `${number(x)} \u00d7 ${number(factor)} ${signed(shift)} = ${number(found.sum)}`))]),
    table([
      [`factor = scale ${number(scale)} / \u221a(variance ${number(variance)} + ${number(epsilon)})`, number(factor)],
      [`shift = offset ${number(offset)} \u2212 mean ${number(mean)} \u00d7 factor`, number(shift)],
    ]),
  ];
};

/** A layer whose value comes from one value of each input. */
const single = (layer, found) => {
  const inputs = found.terms.map((term) => number(term.inputs[0][0]));
  const [x] = inputs;
  const words = {
    "ReLU": `max(0, ${x})`,
    "ReLU6": `min(max(0, ${x}), 6)`,
    "sum": inputs.join(" + "),
    "product": inputs.join(" \u00d7 "),
    "concatenation": "the same value",
    "flatten": "the same value",
  }[layer.kind] || `${layer.kind}(${x})`;
  const cards = found.terms.map((term, index) => card(term, found, make("span", inputs[index])));
  return [make("p", `${words} = ${number(found.sum)}`), terms(cards)];
};

/** A grid of numbers, tinted by their size; `found` says which are padding. */
const grid = (values, named, found = null) => {
  const element = make("table", "", "window"), most = Math.max(...values.flat().map(Math.abs)) || 1;
  if (values[0].length > 7) element.classList.add("large"); else if (values[0].length > 3) element.classList.add("middle");
  element.ariaLabel = named;
  const short = decimals(values);
  values.forEach((line, i) => {
    const row = element.insertRow();
    line.forEach((value, j) => {
      const cell = row.insertCell(), outside = found && isOutside(found, i, j);
      cell.textContent = short(value);
      if (outside) cell.append(make("span", " padding", "unseen"));
      cell.title = outside ? "padding" : number(value, 7);
      cell.className = outside ? "outside" : "";
      cell.style.setProperty("--tone", value < 0 ? "var(--s2)" : "var(--s1)");
      cell.style.setProperty("--p", (55 * Math.abs(value)) / most);
    });
  });
  const scroll = make("div", "", "scroll");
  scroll.append(element);
  return scroll;
};

/** Whether a place of the window is padding. */
const isOutside = (found, i, j) => found.rows[i] === null || found.columns[j] === null;

/**
 * What grids show by rounding, by colour and by pointing, in words: all digits of their numbers, which are written when
 * they are asked for.
 *
 * Takes the grids by name; the one named "window" has padding.
 */
const digits = (grids, found) => {
  const box = make("details", "", "digits");
  box.append(make("summary", "All digits"));
  box.addEventListener("toggle", () => {
    for (const [named, values] of Object.entries(grids)) {
      const cells = values.map((line, i) => line.map((value, j) => (
        named === "window" && isOutside(found, i, j) ? "padding" : number(value, 7))));
      box.append(scrolling(table(cells), `${named}, all digits`, named));
    }
  }, { once: true });
  return box;
};

/** A table that may be wider than its place, which the arrow keys then scroll; with a caption, if there is one. */
const scrolling = (element, named, caption = "") => {
  const scroll = make("div", "", "scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.ariaLabel = named;
  if (caption) element.createCaption().textContent = caption;
  scroll.append(element);
  return scroll;
};

const terms = (cards) => {
  const box = make("div", "", "terms");
  box.append(...cards);
  return box;
};

const card = (term, found, ...parts) => {
  const box = make("div", "", "term"), product = make("div", "", "product");
  product.append(...parts);
  box.append(sourceOf(term, found), product);
  return box;
};

/** The name of where a term comes from, with its layer or without; a button that leads there if it is a layer. */
const sourceOf = (term, found, whole = true) => {
  const source = term.from && at.model.layers[term.from.layer];
  if (!source) return make("span", `channel ${term.channel} of its input`);
  const middle = (places, end) => {
    const inside = places.filter((place) => place !== null);
    return end > 1 ? inside[Math.floor(inside.length / 2)] : 0;
  };
  const place = {
    layer: source.number,
    channel: term.from.channel,
    row: middle(term.rows || found.rows, source.height),
    column: middle(term.columns || found.columns, source.width),
  };
  const follow = () => link.dispatchEvent(new CustomEvent("follow", { bubbles: true, detail: place }));
  const link = button(`${channelOf(source, place.channel)}${whole ? ` of ${titleOf(source)}` : ""}`, follow, "link");
  link.title = "go there";
  return link;
};

/** A table of lines, in which the line of the sum is drawn apart. In a short line the words take the place that is left. */
const table = (lines, heads = []) => {
  const element = make("table", "", "lines");
  if (heads.length) {
    const row = element.createTHead().insertRow();
    row.append(...heads.map((words) => make("th", words)));
  }
  const body = element.createTBody(), columns = Math.max(...lines.map((cells) => cells.length));
  for (const cells of lines) {
    const row = body.insertRow();
    if (String(cells[0]).startsWith("sum")) row.className = "total";
    for (const cell of cells) row.insertCell().append(cell);
    row.cells[0].colSpan = 1 + columns - cells.length;
  }
  return element;
};
