"""A split that keeps groups together, and draws a fraction of every class as well as they allow.

It also splits images that have several classes, of which each image is a group by itself.
"""

from __future__ import annotations

import numpy as np

from hw2.input import labels as labelling

ROUNDS = 5  # the first places the groups, and later ones mend; rarely does a third find more


def draw(
    labels: np.ndarray, groups: np.ndarray, fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Splits whole groups into training and validation.

    Groups are taken at random, the large ones first, and in some rounds. Each changes sides if that
    brings the classes nearer to their fraction: what counts is the sum over the classes of the
    squared error, as a fraction of the class. Every class keeps an image for training, and one in
    several groups validates, if a group can be moved without taking the last of another class.

    Args:
      labels: `[N]` integers, or `[N, classes]`, 1 where an image has a class. Images without any
        class are then drawn like a class of their own, and so are all images together.
      groups: `[N]` numbers of groups, from 0.
      fraction: Fraction of the images for validation, in (0, 1).
      seed: The same seed draws the same groups.

    Returns:
      Indices for training and for validation, each sorted int64.

    Raises:
      ValueError: `fraction` is outside (0, 1).

    Cost: 50,000 groups take half a second.

    For several classes an image this is the aim of iterative stratification (Sechidis et al., "On
    the Stratification of Multi-label Data", 2011), by rounds of exchange in place of one pass.
    """
    check_fraction(fraction)
    _, groups = np.unique(groups, return_inverse=True)
    rows, labels = _pairs(labels)
    _, labels = np.unique(labels, return_inverse=True)
    counts = np.bincount(labels)
    members = _members(labels, groups[rows])
    sizes = np.bincount(groups)
    order = np.random.default_rng(seed).permutation(len(members))
    order = order[np.argsort(-sizes[order], kind="stable")]
    taken = np.zeros(len(members), bool)
    drawn = np.zeros(len(counts), np.int64)
    wanted, weight = fraction * counts, 1 / np.maximum(counts, 1) ** 2
    for _ in range(ROUNDS):
        before = taken.copy()
        for group in order.tolist():
            classes, own = members[group]
            change = -own if taken[group] else own
            error = drawn[classes] - wanted[classes]
            gain = (weight[classes] * (error**2 - (error + change) ** 2)).sum()
            if gain > 0 and (drawn[classes] + change < counts[classes]).all():
                taken[group] = not taken[group]
                drawn[classes] += change
        if (taken == before).all():
            break
    _fill(members, sizes, taken, drawn, counts)
    validates = taken[groups]
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def _pairs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists each image with each of its classes: indices of images, and classes."""
    if not labelling.are_several(labels):
        return labelling.pairs(labels)
    every = np.ones([len(labels), 1], bool)
    none = ~labels.any(1, keepdims=True)
    return labelling.pairs(np.concatenate([labels > 0, none, every], 1))


def check_fraction(fraction: float) -> None:
    """Refuses a fraction for validation that leaves one of the parts empty.

    Raises:
      ValueError: It is outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be in (0, 1), got {fraction}.")


def _members(labels: np.ndarray, groups: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """The classes of each group, and how many images of each."""
    classes = int(labels.max(initial=0)) + 1
    pairs, counts = np.unique(groups * classes + labels, return_counts=True)
    starts = np.searchsorted(pairs // classes, np.arange(int(groups.max(initial=-1)) + 2))
    return [
        (pairs[a:b] % classes, counts[a:b])
        for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    ]


def _fill(
    members: list[tuple[np.ndarray, np.ndarray]],
    sizes: np.ndarray,
    taken: np.ndarray,
    drawn: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Gives each class without validation the smallest group that can be moved there."""
    absent = set(np.flatnonzero((drawn == 0) & (counts > 1)).tolist())
    if not absent:
        return
    for group in np.argsort(sizes, kind="stable").tolist():
        classes, own = members[group]
        wanted = absent.intersection(classes.tolist())
        if wanted and not taken[group] and (drawn[classes] + own < counts[classes]).all():
            taken[group] = True
            drawn[classes] += own
            absent -= wanted
