"""What a frame is made of: boxes with text, in colours by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

CELL = 34  # side of a box, in pixels


class Mark(NamedTuple):
    """A box with a text in it, or a text alone.

    Attributes:
      x, y: Its upper left corner, in pixels.
      text: At its middle; where there is no width, from its left.
      fill: Name of a colour of `PALETTES`; "" for none.
      edge: Name of the colour of its outline; "" for none.
      width, height: 0 for a text alone.
      ink: Name of the colour of the text.
      size: Of the text, in pixels.
    """

    x: float
    y: float
    text: str = ""
    fill: str = ""
    edge: str = ""
    width: float = CELL
    height: float = CELL
    ink: str = "ink"
    size: int = 13


class Film(NamedTuple):
    """A moving picture.

    Attributes:
      title: What is seen, in a sentence.
      width, height: In pixels.
      frames: The marks of each frame, the last ones on top; words about it are the very last.
    """

    title: str
    width: int
    height: int
    frames: Sequence[Sequence[Mark]]


# Colours that are told apart with red-green blindness too, with a contrast of text of 4.5 or more.
PALETTES = {
    "light": {
        "paper": "#ffffff",
        "ink": "#1b1f24",
        "quiet": "#68717c",
        "line": "#b8c0ca",
        "image": "#eef1f5",
        "zero": "#ffffff",
        "window": "#ffd891",
        "row": "#ffd891",
        "filter": "#cfe3ff",
        "result": "#d3f0dc",
        "now": "#e07b00",
        "empty": "#ffffff",
    },
    "dark": {
        "paper": "#15181c",
        "ink": "#e8ecf1",
        "quiet": "#97a1ad",
        "line": "#4a535e",
        "image": "#262c33",
        "zero": "#15181c",
        "window": "#7a4d00",
        "row": "#7a4d00",
        "filter": "#1f426f",
        "result": "#1e4d31",
        "now": "#ffab40",
        "empty": "#15181c",
    },
}


def merged(film: Film) -> list[tuple[Mark, int, int]]:
    """Every mark with the frames in which it is seen, [first, last + 1); long ones are one."""
    found: list[tuple[Mark, int, int]] = []
    begun: dict[Mark, int] = {}
    for number, frame in enumerate(film.frames):
        now = dict.fromkeys(frame)
        for mark in [mark for mark in begun if mark not in now]:
            found.append((mark, begun.pop(mark), number))
        for mark in now:
            begun.setdefault(mark, number)
    found += [(mark, start, len(film.frames)) for mark, start in begun.items()]
    order = {mark: k for frame in film.frames for k, mark in enumerate(frame)}
    return sorted(found, key=lambda item: (order[item[0]], item[1]))
