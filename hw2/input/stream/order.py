"""The order of training: an endless stream of epochs, as a function of the position in it."""

from __future__ import annotations

import functools

import numpy as np


def at(positions: np.ndarray, count: int, seed: int, *, since: int = 0) -> np.ndarray:
    """Returns which of `count` images is at each position of the training stream.

    The stream is one permutation after another without gaps, so position `p` is element
    `p % count` of epoch `p // count`, and any position is found without those before it.

    Args:
      positions: `[B]` int64, counted from the start of training.
      count: Number of images in an epoch.
      seed: At least 0.
      since: Position at which these images replaced others; an epoch begins there. It is numbered
        `since + 1`, which no earlier epoch can have been.

    Returns:
      `[B]` int64 indices in [0, count).
    """
    if since:
        positions = positions - since + (since + 1) * count
    epochs, offsets = np.divmod(positions, count)
    return np.array(
        [
            permutation(count, seed, int(epoch))[offset]
            for epoch, offset in zip(epochs, offsets, strict=True)
        ],
        np.int64,
    )


@functools.lru_cache(maxsize=4)  # the epochs in use; 8 bytes an image
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """Shuffles `count` indices, `[count]` int64, alike for a seed and an epoch on any machine.

    It sorts the raw 64-bit output of a counter-based generator, which NumPy promises never to
    change, unlike `Generator.permutation`. Ties are all but impossible.

    Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
    """
    key = np.array([seed, epoch], np.uint64)
    return np.argsort(np.random.Philox(key=key).random_raw(count), kind="stable")
