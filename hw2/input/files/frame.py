"""The size to which an image is brought when it is loaded, and what becomes of its aspect."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Frame(NamedTuple):
    """A square that shows the whole of an image.

    Attributes:
      side: Side of the square, in pixels.
      fit: "pad" keeps the aspect and fills what is left; "stretch" scales both sides to `side`.
      fill: Level of the pixels that "pad" adds, in [0, 255].
    """

    side: int
    fit: str
    fill: int = 0


Size = int | Frame  # a whole number is the shorter side, and the aspect is kept


def side_of(wanted: Size) -> int:
    """The shorter side of the loaded image."""
    return wanted.side if isinstance(wanted, Frame) else wanted


def scaled(size: tuple[int, int], wanted: Size) -> tuple[int, int]:
    """Scales width and height, rounded; neither becomes 0."""
    side = side_of(wanted)
    if isinstance(wanted, Frame) and wanted.fit == "stretch":
        return side, side
    by = max(size) if isinstance(wanted, Frame) else min(size)
    width, height = (max(1, (2 * length * side + by) // (2 * by)) for length in size)
    return width, height


def before(length: int, side: int) -> int:
    """How many pixels of `side` come before an image that is `length` long, in the middle."""
    return (side - length) // 2


def padded(image: np.ndarray, wanted: Size) -> np.ndarray:
    """Puts uint8 `[h, w, c]` in the middle of its frame; without one it stays as it is."""
    if not isinstance(wanted, Frame) or image.shape[:2] == (wanted.side, wanted.side):
        return image
    height, width, channels = image.shape
    result = np.full([wanted.side, wanted.side, channels], wanted.fill, np.uint8)
    top, left = before(height, wanted.side), before(width, wanted.side)
    result[top : top + height, left : left + width] = image
    return result
