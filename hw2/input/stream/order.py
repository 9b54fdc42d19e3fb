"""The order of training: an endless stream of epochs, as a function of the position in it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np


class Order(Protocol):
    """Tells which of an epoch's images are at positions of the training stream, as `at` does."""

    def __call__(self, positions: np.ndarray, *, since: int = 0) -> np.ndarray: ...


def uniform(count: int, seed: int) -> Order:
    """The order in which each of `count` images comes once in an epoch."""
    return functools.partial(_at, count, functools.partial(permutation, count, seed))


def balanced(labels: np.ndarray, seed: int) -> Order:
    """The order in which every class comes equally often, whatever the number of its images.

    An epoch has as many positions as there are images. Over `classes` epochs, every class has
    exactly as many positions as any other, and within a class no image comes a second time more
    than another: the images of each class are one permutation after another.

    Args:
      labels: `[N]` integers, the class of each image; classes without images are left out.
      seed: At least 0.
    """
    _, labels = np.unique(labels, return_inverse=True)
    members = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    epoch = functools.lru_cache(maxsize=4)(functools.partial(_balanced_epoch, members, seed))
    return functools.partial(_at, len(labels), epoch)


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
    return uniform(count, seed)(positions, since=since)


@functools.lru_cache(maxsize=4)  # the epochs in use; 8 bytes an image
def permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    """Shuffles `count` indices, `[count]` int64, alike for a seed and an epoch on any machine.

    It sorts the raw 64-bit output of a counter-based generator, which NumPy promises never to
    change, unlike `Generator.permutation`. Ties are all but impossible.

    Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
    """
    return _shuffled(count, seed, epoch, 0)


def _shuffled(count: int, seed: int, number: int, stream: int) -> np.ndarray:
    """The permutation of a number, in one of the streams of a seed."""
    key = np.array([seed, number], np.uint64)
    counter = np.array([0, 0, 0, stream], np.uint64)  # streams of one key never overlap
    generator = np.random.Philox(key=key, counter=counter)
    return np.argsort(generator.random_raw(count), kind="stable")


def _at(
    count: int, epoch: Callable[[int], np.ndarray], positions: np.ndarray, *, since: int = 0
) -> np.ndarray:
    """Looks positions up in their epochs; see `at`."""
    if since:
        positions = positions - since + (since + 1) * count
    epochs, offsets = np.divmod(positions, count)
    found = [epoch(int(number))[offset] for number, offset in zip(epochs, offsets, strict=True)]
    return np.array(found, np.int64)


def _balanced_epoch(members: list[np.ndarray], seed: int, epoch: int) -> np.ndarray:
    """An epoch of `balanced`, `[N]`.

    All draws of all epochs are numbered. Draw `d` is of class `d % classes`, of which it is the
    draw `d // classes`; an epoch has N draws in a row, shuffled.

    Args:
      members: For each class the indices of its images.
      seed: At least 0.
      epoch: Its number.
    """
    count, classes = sum(map(len, members)), len(members)
    draws = epoch * count + np.arange(count)
    found = np.empty(count, np.int64)
    for label, images in enumerate(members):
        mine = draws % classes == label
        rounds, places = np.divmod(draws[mine] // classes, len(images))  # rounds rise
        orders = [
            _shuffled(len(images), seed, number, label + 1)
            for number in range(int(rounds[0]), int(rounds[-1]) + 1)
        ]
        found[mine] = images[np.stack(orders)[rounds - rounds[0], places]]
    return found[permutation(count, seed, epoch)]
