// A value written out as what it is computed from.

import { button, make, many, number, signed } from "./elements.js";
import { at, titleOf } from "./state.js";

/**
 * Writes out what GET .../pixels/ROW/COLUMN answers, as elements.
 *
 * Where a source is clicked, they send an event "follow" with its layer, channel, row and column. `more` is an element
 * that asks for more terms, or null.
 */
export const written = (layer, found, more) => [
  ...explained(layer, found, more),
  ...found.then.flatMap((next) => [make("h3", `Then the ${next.kind}`), ...explained(at.model.layers[next.layer], next)]),
];

const explained = (layer, found, more) => {
  if (layer.kind === "picture") return [make("p", "This is the picture itself, standardized as the model was trained: nothing computes it.")];
  if (found.terms[0]?.weights) return weighted(layer, found, more);
  if (layer.kind in WINDOWS) return overWindow(layer, found);
  if (found.norm) return normalized(found);
  return single(layer, found);
};

/** A convolution or a dense layer: windows times weights, channel by channel. */
const weighted = (layer, found, more) => {
  const [high, wide] = [found.rows.length, found.columns.length], all = found.terms.length + found.rest.channels;
  const dense = layer.kind === "dense";
  const intro = dense
    ? `${many(all, "input")}, each times its weight${found.bias === null ? "" : ", and a bias"}. Those that add the most, up or down:`
    : `A window of ${high}\u00d7${wide} pixels of ${many(all, "channel")}: ${many(high * wide * all, "product")}${found.bias === null ? ", no bias" : " and a bias"}. ${found.rest.channels ? "The channels that add the most, up or down:" : "Each number times its weight:"}`;
  const cards = found.terms.map((term) => card(term, found,
    grid(term.inputs, "window", found), make("span", "\u00d7"), grid(term.weights, "weights"), make("span", `= ${number(term.sum)}`)));
  const lines = found.terms.map((term) => [dense ? `input ${term.channel}` : `channel ${term.channel}`, number(term.sum)]);
  if (found.rest.channels) lines.push([`the other ${found.rest.channels.toLocaleString("en")}`, number(found.rest.sum)]);
  if (found.bias !== null) lines.push(["bias", number(found.bias)]);
  lines.push(["sum, in double precision", number(found.sum, 9), true], ["value that the network computed", number(found.value, 9)]);
  const parts = [make("p", intro), terms(cards)];
  if (more) {
    const buttons = make("p", "", "buttons");
    buttons.append(more);
    parts.push(buttons);
  }
  return [...parts, total(lines)];
};

// What is said of a window without weights: its value, and its padding.
const WINDOWS = {
  "max pool": ["The largest of", "the largest is", "Padding never wins."],
  "average pool": ["The mean of", "the mean is", "Padding does not count."],
  "mean over positions": ["The mean of", "the mean is", "Padding does not count."],
};

const overWindow = (layer, found) => {
  const [term] = found.terms, count = term.inputs.flat().length;
  const [what, result, padding] = WINDOWS[layer.kind];
  const window = count <= 121 ? [grid(term.inputs, "window", found)] : [];
  return [
    make("p", `${what} ${many(count, "value")} of one channel. ${padding}`),
    terms([card(term, found, ...window, make("span", `${result} ${number(found.sum)}`))]),
  ];
};

const normalized = (found) => {
  const { scale, offset, mean, variance, epsilon, factor, shift } = found.norm;
  const [[x]] = found.terms[0].inputs;
  return [
    make("p", "The moving mean and variance of training make it about 0 and 1; then the scale and the offset that were learned. Together that is a factor and a shift."),
    terms([card(found.terms[0], found, make("span", `${number(x)} \u00d7 ${number(factor)} ${signed(shift)} = ${number(found.sum)}`))]),
    total([
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
  const table = make("table", "", "window"), most = Math.max(...values.flat().map(Math.abs)) || 1;
  if (values[0].length > 7) table.classList.add("large"); else if (values[0].length > 3) table.classList.add("middle");
  table.ariaLabel = named;
  values.forEach((line, i) => {
    const row = table.insertRow();
    line.forEach((value, j) => {
      const cell = row.insertCell(), outside = found && (found.rows[i] === null || found.columns[j] === null);
      cell.textContent = number(value, values[0].length > 3 ? 2 : 3);
      cell.title = outside ? "padding" : number(value, 7);
      cell.className = outside ? "outside" : "";
      cell.style.setProperty("--tone", value < 0 ? "var(--s2)" : "var(--s1)");
      cell.style.setProperty("--p", (55 * Math.abs(value)) / most);
    });
  });
  const scroll = make("div", "", "scroll");
  scroll.append(table);
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

/** The name of where a term comes from; a button that leads there if it is a layer. */
const sourceOf = (term, found) => {
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
  const link = button(`channel ${place.channel} of ${titleOf(source)}`, follow, "link");
  link.title = "go there";
  return link;
};

const total = (lines) => {
  const table = make("table");
  for (const [words, value, last] of lines) {
    const row = table.insertRow();
    if (last) row.className = "total";
    row.append(make("td", words), make("td", value));
  }
  return table;
};
