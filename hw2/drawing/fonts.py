"""Fonts of this machine that have given letters, for pictures of texts."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator

import matplotlib
from matplotlib import font_manager, ft2font
from PIL import ImageDraw, ImageFont

# Latin, Greek, Cyrillic, Arabic and more; it comes with matplotlib, so it is everywhere.
FIRST = os.path.join(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")


class Writer:
    """Writes texts into pictures, each letter in the first font that has it.

    Attributes:
      missing: Letters of the texts for which this machine has no font; they are written as escapes.
    """

    def __init__(self, texts: Iterable[str], size: int):
        """Finds the fonts; others than `FIRST` are looked at only for what it lacks.

        Args:
          texts: Everything that will be written.
          size: Height of the letters in pixels.
        """
        self.missing = set("".join(texts))
        self._fonts: list[tuple[frozenset[str], ImageFont.FreeTypeFont]] = []
        for path in _paths():
            if not self.missing:
                break
            found = self.missing & letters(path)
            if found or path == FIRST:
                self._fonts.append((frozenset(found), ImageFont.truetype(path, size)))
                self.missing -= found

    def width(self, text: str) -> float:
        """The width of a text in pixels."""
        return sum(font.getlength(part) for part, font in self._parts(text))

    def draw(self, page: ImageDraw.ImageDraw, place: tuple[float, float], text: str) -> None:
        """Writes a text in black; `place` is left and top of its line."""
        left, top = place
        base = top + self._fonts[0][1].getmetrics()[0]  # fonts of other heights share a base line
        for part, font in self._parts(text):
            page.text((left, base), part, "black", font, anchor="ls")
            left += font.getlength(part)

    def _parts(self, text: str) -> Iterator[tuple[str, ImageFont.FreeTypeFont]]:
        """The text in parts of one font."""
        part, last = "", self._fonts[0][1]
        for letter in text:
            font = next((font for has, font in self._fonts if letter in has), self._fonts[0][1])
            if letter in self.missing:
                letter = letter.encode("ascii", "backslashreplace").decode()
            if font is not last and part:
                yield part, last
                part = ""
            part, last = part + letter, font
        if part:
            yield part, last


@functools.cache
def letters(path: str) -> frozenset[str]:
    """The letters that a font has; none where it cannot be read."""
    try:
        return frozenset(map(chr, ft2font.FT2Font(path).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()


def _paths() -> Iterator[str]:
    yield FIRST
    found = font_manager.findSystemFonts()
    yield from sorted(found, key=lambda path: (not _is_plain(path), path))


def _is_plain(path: str) -> bool:
    """Whether a font is upright and of usual weight, by its name."""
    name = os.path.basename(path).lower()
    return "regular" in name or not any(
        word in name for word in ("bold", "black", "light", "thin", "italic", "oblique", "serif")
    )
