// Elements of the page, and numbers as people read them.

/** The element of an id. */
export const $ = (id) => document.getElementById(id);

/** Makes an element with a text and classes. */
export const make = (tag, text = "", classes = "") => {
  const element = document.createElement(tag);
  element.textContent = text;
  if (classes) element.className = classes;
  return element;
};

/** Makes a button with a text, and what a click does. */
export const button = (text, click, classes = "") => {
  const element = make("button", text, classes);
  element.type = "button";
  element.addEventListener("click", click);
  return element;
};

/** A number of the network; null stands for one that is not finite. */
export const number = (value, digits = 4) => {
  if (value === null) return "not finite";
  const size = Math.abs(value);
  const plain = size >= 1e-4 && size < 1e6;
  const text = value === 0 ? "0" : plain ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 1);
  return text.replace("-", "\u2212");
};

/** Rows of numbers with as many decimals as there is room for; a small or a large number has its own. */
export const decimals = (values) => {
  const most = Math.max(...values.flat().map(Math.abs)), places = values[0].length > 3 ? 2 : 3;
  const plain = most >= 0.01 && most < 1000;
  return (value) => (plain && value ? value.toFixed(places).replace(/^-(?=[0.]+$)/, "").replace("-", "\u2212") : number(value, 2));
};

/** A text that begins a line. */
export const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** A number with its sign before it, as in a sum. */
export const signed = (value) => (value < 0 ? "\u2212 " : "+ ") + number(Math.abs(value));

export const percent = (value) => `${(100 * value).toFixed(1)}\u00a0%`;

/** A count with its noun. */
export const many = (count, word, words = `${word}s`) => `${count.toLocaleString("en")} ${count === 1 ? word : words}`;
