// Questions to the server: an error is shown, and the newest question of a kind is the one that counts.

import { $ } from "./elements.js";

/** Shows what went wrong, or nothing. */
export const trouble = (words) => {
  $("trouble").textContent = words || "";
  $("trouble").hidden = !words;
};

/** Asks the server; returns its JSON, or throws what it says is wrong. */
export const ask = async (path, options) => {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    throw new Error("the server does not answer - is hw2 serve still running?");
  }
  const found = await response.json();
  if (!response.ok) throw new Error(found.error);
  return found;
};

const newest = {};

/** Wraps work that waits for the server. It is handed a function that says whether newer work of its kind has begun. */
export const only = (kind, work) => async (...inputs) => {
  const mine = newest[kind] = (newest[kind] || 0) + 1;
  try {
    await work(() => mine !== newest[kind], ...inputs);
  } catch (error) {
    if (mine === newest[kind]) trouble(error.message);
  }
};
