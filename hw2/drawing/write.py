"""Writes a film: a GIF, an SVG that moves, or a page to step through."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from hw2.drawing.marks import PALETTES, Film, Mark, merged

THEMES = ("auto", "light", "dark")
_SCALE = 2  # of a GIF, for screens with small pixels
_PAUSE = 3  # times a frame, for which the last one stays
_HEADING = 28  # pixels of the title, which a page has in its own letters
_FONT = "ui-monospace, Menlo, Consolas, monospace"


def gif(film: Film, path: Path, *, seconds: float, theme: str = "auto") -> None:
    """Writes a GIF; "auto" is light, since a GIF cannot know."""
    colours = PALETTES["light" if theme == "auto" else theme]
    palette = _image(film, film.frames[len(film.frames) // 2], colours).quantize(64)
    frames = [
        _image(film, frame, colours).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in film.frames
    ]
    pauses = [int(1000 * seconds)] * (len(frames) - 1) + [int(1000 * _PAUSE * seconds)]
    frames[0].save(
        path,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=pauses,
        loop=0,
        optimize=True,
    )


def svg(film: Film, path: Path, *, seconds: float, theme: str = "auto") -> None:
    """Writes an SVG that moves by itself; whoever asks for less motion sees its last frame."""
    path.write_text(_svg(film, seconds, theme), "utf-8")


def page(film: Film, path: Path, *, seconds: float, theme: str = "auto") -> None:
    """Writes a page with the film, buttons, and a slider."""
    title = html.escape(film.title)
    text = _PAGE.replace("TITLE", title).replace("STYLE", _around(theme))
    text = text.replace("DRAWING", _svg(film, 0, theme, top=_HEADING))
    text = text.replace("WORDS", json.dumps([_words(frame) for frame in film.frames]))
    path.write_text(text.replace("PAUSE", json.dumps(int(1000 * seconds))), "utf-8")


WRITERS: dict[str, Callable[..., None]] = {".gif": gif, ".svg": svg, ".html": page}


def _svg(film: Film, seconds: float, theme: str, *, top: int = 0) -> str:
    """The drawing below `top`; without seconds it stands still, and each mark knows its frames."""
    marks = merged(film)
    count = len(film.frames)
    whole = seconds * (count - 1 + _PAUSE)
    spans = sorted({(a, b) for _, a, b in marks if (a, b) != (0, count)})
    style = _colours(theme)
    if seconds:
        style += "@media (prefers-reduced-motion: no-preference) {\n"
        for start, stop in spans:
            style += _keyframes(start, stop, count, seconds, whole)
        style += "}\n@media (prefers-reduced-motion: reduce) {\n"
        style += "".join(f".s{a}-{b} {{ visibility: hidden }}\n" for a, b in spans if b != count)
        style += "}\n"
    body = "\n".join(_element(mark, a, b, count) for mark, a, b in marks)
    height = film.height - top
    size = f'viewBox="0 {top} {film.width} {height}" width="{film.width}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} height="{height}" role="img" '
        f'aria-label="{html.escape(film.title)}">\n<style>\n{style}</style>\n'
        f'<rect class="f-paper" y="{top}" width="100%" height="100%" rx="8"/>\n{body}\n</svg>\n'
    )


def _keyframes(start: int, stop: int, count: int, seconds: float, whole: float) -> str:
    """A class that is seen from one frame to another, and hidden else."""
    first = 100 * start * seconds / whole
    last = 100.0 if stop == count else 100 * stop * seconds / whole
    name = f"s{start}-{stop}"
    steps = [f"0% {{ visibility: {'visible' if start == 0 else 'hidden'} }}"]
    if start:
        steps.append(f"{first:.3f}% {{ visibility: visible }}")
    if stop < count:
        steps.append(f"{last:.3f}% {{ visibility: hidden }}")
    return (
        f".{name} {{ animation: {name} {whole:g}s step-end infinite }}\n"
        f"@keyframes {name} {{ {' '.join(steps)} }}\n"
    )


def _element(mark: Mark, start: int, stop: int, count: int) -> str:
    """A mark as SVG."""
    always = (start, stop) == (0, count)
    group = "" if always else f' class="s{start}-{stop}" data-a="{start}" data-b="{stop}"'
    parts = []
    if mark.width:
        kinds = [f"f-{mark.fill or 'none'}", f"e-{mark.edge or 'none'}"]
        parts.append(
            f'<rect class="{" ".join(kinds)}" x="{mark.x:g}" y="{mark.y:g}" '
            f'width="{mark.width:g}" height="{mark.height:g}"/>'
        )
    if mark.text:
        middle = bool(mark.width)
        x, y = (mark.x + mark.width / 2, mark.y + mark.height / 2) if middle else (mark.x, mark.y)
        anchor = ' text-anchor="middle"' if middle else ""
        parts.append(
            f'<text class="t-{mark.ink}" x="{x:g}" y="{y:g}" font-size="{mark.size}"{anchor} '
            f'dominant-baseline="central">{html.escape(mark.text)}</text>'
        )
    return f"<g{group}>{''.join(parts)}</g>"


def _colours(theme: str) -> str:
    """CSS of the colours; "auto" has both palettes."""

    def rules(name: str) -> str:
        colours = PALETTES[name]
        lines = [f".f-{key} {{ fill: {value} }}" for key, value in colours.items()]
        lines += [f".t-{key} {{ fill: {colours[key]} }}" for key in ("ink", "quiet")]
        lines += [f".e-line {{ stroke: {colours['line']} }}"]
        lines += [f".e-now {{ stroke: {colours['now']}; stroke-width: 2.5 }}"]
        return "\n".join(lines) + "\n"

    common = f"text {{ font-family: {_FONT} }}\n.f-none {{ fill: none }}\n"
    if theme != "auto":
        return common + rules(theme)
    dark = f"@media (prefers-color-scheme: dark) {{\n{rules('dark')}}}\n"
    return common + rules("light") + dark


def _around(theme: str) -> str:
    """CSS of the colours of a page around the drawing; "auto" has both."""
    if theme != "auto":
        return f":root {{ color-scheme: {theme}; {_AROUND[theme]} }}"
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {_AROUND['dark']} }} }}"
    return f":root {{ color-scheme: light dark; {_AROUND['light']} }}\n{dark}"


def _words(frame: Sequence[Mark]) -> str:
    """What a frame says about its position; the last frame says nothing."""
    return "" if frame[-1].width else frame[-1].text


def _image(film: Film, frame, colours: dict[str, str]) -> Image.Image:
    """A frame as pixels."""
    image = Image.new("RGB", (_SCALE * film.width, _SCALE * film.height), colours["paper"])
    draw = ImageDraw.Draw(image)
    for mark in frame:
        if mark.width:
            box = [_SCALE * v for v in (mark.x, mark.y, mark.x + mark.width, mark.y + mark.height)]
            draw.rectangle(
                box,
                fill=colours[mark.fill] if mark.fill else None,
                outline=colours[mark.edge] if mark.edge else None,
                width=5 if mark.edge == "now" else 2,
            )
        if mark.text:
            font = ImageFont.load_default(_SCALE * mark.size)
            middle = bool(mark.width)
            x = mark.x + mark.width / 2 if middle else mark.x
            y = mark.y + mark.height / 2 if middle else mark.y
            anchor = "mm" if middle else "lm"
            place = (_SCALE * x, _SCALE * y)
            draw.text(place, mark.text, colours[mark.ink], font, anchor=anchor)
    return image


_AROUND = {
    "light": "--paper: #f6f7f9; --ink: #1b1f24; --key: #ffffff; --edge: #6b7480; --focus: #bc4c00;",
    "dark": "--paper: #0e1013; --ink: #e8ecf1; --key: #1d222a; --edge: #7b8692; --focus: #f0883e;",
}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8">
<title>TITLE</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
STYLE
body { margin: 1.5rem auto; max-width: 70rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
  background: var(--paper); color: var(--ink); }
h1 { font-size: 1.3rem; margin: 0 0 1rem; }
.wide { overflow-x: auto; }
.wide svg { display: block; height: auto; max-width: max(100%, 36rem); }
.tools { display: flex; flex-wrap: wrap; gap: .6rem; align-items: center; margin: 1rem 0; }
button { font: inherit; padding: .5rem 1rem; color: var(--ink); background: var(--key);
  border: 1px solid var(--edge); border-radius: 8px; cursor: pointer; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
input { flex: 1 1 12rem; max-width: 30rem; }
</style>
<main>
<h1>TITLE</h1>
<div class="wide" tabindex="0">
DRAWING</div>
<div class="tools">
<button id="back" aria-label="one position back">&#9664;</button>
<button id="play">Play</button>
<button id="next" aria-label="one position on">&#9654;</button>
<input id="place" type="range" min="0" value="0" step="1" aria-label="position">
<output id="said"></output>
</div>
<p>Left and right arrow keys step through the positions; the space bar plays and stops.</p>
</main>
<script>
const words = WORDS, count = words.length, pause = PAUSE;
const marks = [...document.querySelectorAll("[data-a]")];
const place = document.getElementById("place"), play = document.getElementById("play");
let now = 0, timer = null;
place.max = count - 1;
function show(frame) {
  now = (frame + count) % count;
  place.value = now;
  for (const mark of marks)
    mark.style.visibility = now >= +mark.dataset.a && now < +mark.dataset.b ? "" : "hidden";
  document.getElementById("said").textContent =
    now < count - 1 ? `position ${now + 1} of ${count - 1}: ${words[now]}` : "done";
}
function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
function start() { timer = setInterval(() => show(now + 1), pause); play.textContent = "Stop"; }
play.onclick = () => timer ? stop() : start();
place.oninput = () => { stop(); show(+place.value); };
document.getElementById("back").onclick = () => { stop(); show(now - 1); };
document.getElementById("next").onclick = () => { stop(); show(now + 1); };
document.addEventListener("keydown", event => {
  if (event.target === place || event.target.className === "wide") return;
  if (event.key === "ArrowLeft") { stop(); show(now - 1); }
  else if (event.key === "ArrowRight") { stop(); show(now + 1); }
  else if (event.key === " " && event.target.tagName !== "BUTTON") {
    event.preventDefault(); play.click(); }
});
show(0);
</script>
</html>
"""
