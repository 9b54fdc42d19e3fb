// Pictures that are dropped, pasted or chosen.

import { $ } from "./elements.js";
import { trouble } from "./server.js";

/** Listens for pictures; `take` is called with each, a file. */
export const listenForPictures = (take) => {
  const first = (files, words) => {
    const file = [...files].find((one) => one.type.startsWith("image/")) || files[0];
    if (file) take(file); else trouble(words);
  };

  for (const id of ["file", "capture"]) {
    $(id).addEventListener("change", (event) => {
      first(event.target.files, "no file was chosen");
      event.target.value = "";
    });
  }
  addEventListener("paste", (event) => {
    if (event.clipboardData) first(event.clipboardData.files, "there is no picture to paste - copy a picture, and not its address");
  });
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    first(event.dataTransfer.files, "that was not a file - save the picture first, and drop the file");
  });
};
