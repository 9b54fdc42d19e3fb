"""Pictures that are nearly all of one level: taken behind a lens cap, or read on a wrong scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw2.input.files.names import first_few

SIDE = 64  # pixels of each side that are looked at
RARE = 1e-3  # fraction of the pixels that may differ, as hot pixels of a camera do
SPREAD = 16  # levels of 256 within which all others lie


def spread(image: np.ndarray) -> float:
    """Returns the range of values that all but the rarest pixels of `[H, W, C]` lie in."""
    rows, columns = (-(-side // SIDE) for side in image.shape[:2])
    pixels = image[::rows, ::columns].reshape(-1, image.shape[2])  # [N, C]
    few = int(RARE * len(pixels))
    if not few:
        return float((pixels.max(0).astype(np.float64) - pixels.min(0)).max())
    last = len(pixels) - 1 - few
    ordered = np.partition(pixels, sorted({few, last}), axis=0)
    return float((ordered[last].astype(np.float64) - ordered[few]).max())


def note(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Tells of flat pictures by their names, of `count` in all; nothing if there are none."""
    if not names:
        return ()
    return (
        f"nearly all of one level, as behind a lens cap or on a wrong scale, {len(names):,} of "
        f"{count:,}: {first_few(list(names))}",
    )
