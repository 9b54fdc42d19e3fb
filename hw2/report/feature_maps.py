"""Feature maps: an image on its way through the network."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from PIL import Image

from hw2.report import thumbnail

CHANNELS, STAGES = 8, 12
_CELL, _GAP = 56, 3  # pixels


def strips(outputs: list[tuple[str, tf.Tensor]]) -> list[dict[str, str]]:
    """Draws a strip for each stage that has maps: the channels that vary most.

    Args:
      outputs: What `sequential.outputs` returns for one or more images; the first is shown.

    Returns:
      Dictionaries of "name", "size", "src" and "alt"; at most 12, spread over the depth.
    """
    maps = [(name, x) for name, x in outputs if len(x.shape) == 4 and min(x.shape[1:3]) > 1]
    maps = [  # without dropout, which is nothing here
        (name, x)
        for n, (name, x) in enumerate(maps)
        if not n or x.shape != maps[n - 1][1].shape or (x != maps[n - 1][1]).numpy().any()
    ]
    if len(maps) > STAGES:
        maps = [maps[n] for n in np.linspace(0, len(maps) - 1, STAGES).round().astype(int)]
    return [_strip(name, x[0].numpy()) for name, x in maps]


def _strip(name: str, x: np.ndarray) -> dict[str, str]:
    height, width, channels = x.shape
    chosen = np.argsort(-x.std((0, 1)), kind="stable")[:CHANNELS]
    cells = []
    for channel in sorted(chosen):
        tile = Image.fromarray(thumbnail.stretched(x[:, :, channel]))
        cells.append(np.asarray(tile.resize((_CELL, _CELL), Image.Resampling.NEAREST)))
        cells.append(np.full((_CELL, _GAP), 128, np.uint8))
    size = f"{height}x{width}x{channels}"
    return {
        "name": name,
        "size": size,
        "src": thumbnail.encode(np.concatenate(cells[:-1], 1), exact=True),
        "alt": f"{len(chosen)} of the {channels} maps {height}x{width} after {name}",
    }
