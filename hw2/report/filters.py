"""The filters of the first layer, which see the image itself."""

from __future__ import annotations

import numpy as np
from markupsafe import escape
from PIL import Image

from hw2.layers.conv import Conv
from hw2.layers.sequential import Sequential, flat
from hw2.report import thumbnail
from hw2.report.figure import Drawing

MOST = 64
_CELL, _GAP = 36, 4  # pixels


def first_conv(model: Sequential) -> tuple[str, Conv] | None:
    """Returns the name and layer of the first convolution, or None if it is not a `Conv`."""
    stages = flat(model)
    name, layer = stages[0]
    if isinstance(layer, Conv):
        return name, layer
    inner = [part for part in getattr(layer, "submodules", ()) if isinstance(part, Conv)]
    return (name, inner[0]) if inner and inner[0].w.shape[0] > 1 else None


def draw(name: str, w: np.ndarray) -> Drawing:
    """Draws filters `[kH, kW, C, filters]` as tiles; in colour if they have three channels."""
    kh, kw, channels, count = w.shape
    shown = min(count, MOST)
    columns = min(8, shown)
    rows = -(-shown // columns)
    sheet = np.full(
        (rows * (_CELL + _GAP) + _GAP, columns * (_CELL + _GAP) + _GAP, 3), 128, np.uint8
    )
    for number in range(shown):
        one = w[:, :, :, number]
        one = one if channels == 3 else one.mean(2, keepdims=True).repeat(3, 2)
        scale = np.abs(one).max() or 1.0
        tile = np.round(127.5 + 127.5 * one / scale).astype(np.uint8)
        tile = np.asarray(Image.fromarray(tile).resize((_CELL, _CELL), Image.Resampling.NEAREST))
        top, left = (_GAP + (_CELL + _GAP) * place for place in divmod(number, columns))
        sheet[top : top + _CELL, left : left + _CELL] = tile
    kind = "in colour" if channels == 3 else "in grey"
    which = f"All {count}" if shown == count else f"{shown} of the {count}"
    alt = (
        f"{which} filters of {kh}x{kw} of {name}, {kind}; middle grey is 0, each scaled by its own "
        "largest weight."
    )
    uri = thumbnail.encode(sheet, exact=True)
    height, width, _ = sheet.shape
    body = f'<img src="{uri}" alt="{escape(alt)}" width="{width}" height="{height}">'
    return Drawing("First-layer filters", body, alt, alt)
