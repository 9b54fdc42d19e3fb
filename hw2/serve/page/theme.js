"use strict";

// The theme, in the head of the page, before anything is drawn.
(() => {
  const asked = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  let chosen = null;
  try { chosen = localStorage.getItem("hw2-theme"); } catch (error) { /* there may be no store */ }

  const show = () => {
    root.dataset.theme = chosen || (asked.matches ? "dark" : "light");
    const button = document.getElementById("theme");
    if (button) button.textContent = root.dataset.theme === "dark" ? "Light theme" : "Dark theme";
  };
  show();
  asked.addEventListener("change", show);
  addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", () => {
      chosen = root.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("hw2-theme", chosen); } catch (error) { /* as above */ }
      show();
    });
    show();
  });
})();
