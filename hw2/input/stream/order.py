"""The order of training: an endless stream of epochs, as a function of the position in it."""

from __future__ import annotations

import functools

import numpy as np


def at(positions: np.ndarray, count: int, seed: int, *, since: int = 0) -> np.ndarray:
    """Says which of `count` pictures stands at each position of the stream.

    The stream is one permutation after another without gaps, so position `p` is element
    `p % count` of epoch `p // count`, and any position is found without those before it.

    Args:
      positions: `[B]` int64, counted from the start of training.
      count: Pictures in an epoch.
      seed: At least 0.
      since: Position where these pictures took the place of others; there an epoch begins. Its
        number is `since + 1`, which no epoch before can have had.

    Returns:
      `[B]` int64 in [0, count).
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


@functools.lru_cache(maxsize=4)  # the epochs in flight; 8 bytes a picture
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """Orders `count` pictures, `[count]` int64, the same for a seed and an epoch on any machine.

    It sorts the raw output of a counter-based generator, which NumPy promises never to change,
    as it does not for `Generator.permutation`. Two of 64 bits all but never tie.

    Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
    """
    key = np.array([seed, epoch], np.uint64)
    return np.argsort(np.random.Philox(key=key).random_raw(count), kind="stable")
