"""Folds: parts of a data set of which each is held out once, while the others are trained on."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.files import duplicates
from hw2.input.files.names import first_few, shown


def draw(
    examples: Examples, count: int, seed: int, groups: np.ndarray | None = None, *, source: str = ""
) -> np.ndarray:
    """Draws the fold of each image, so that every fold has its share of every class.

    Images with the same content get into the same fold, and so do those of a group.

    Args:
      examples: The images.
      count: How many folds, at least 2.
      seed: The same seed draws the same folds.
      groups: The number of the group of each image, `[N]`, that of images with the same content
        being the same.
      source: Where the images are from, for messages.

    Returns:
      `[N]` integers in [0, count).

    Raises:
      DataError: A class would have no image to train on while a fold is held out.

    Cost: with groups, half a millisecond for each of them.
    """
    if groups is None and examples.digests is not None:
        first = duplicates.first_of_each(examples.digests)
        alone = np.flatnonzero(first == np.arange(len(first)))
        folds = np.empty(len(first), np.int64)
        folds[alone] = _parts(StratifiedKFold, examples.labels[alone], count, seed)
        folds = folds[first]
    elif groups is None:
        folds = _parts(StratifiedKFold, examples.labels, count, seed)
    else:
        folds = _parts(StratifiedGroupKFold, examples.labels, count, seed, groups)
    _check(examples, folds, count, source)
    return folds


def _parts(
    splitter: type, labels: np.ndarray, count: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    if len(labels if groups is None else np.unique(groups)) < count:
        return np.zeros(len(labels), np.int64)  # which `_check` refuses
    folds = np.empty(len(labels), np.int64)
    splits = splitter(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # of classes with fewer images than folds, as `notes` tells
        warnings.filterwarnings("ignore", "The least populated class")
        for number, (_, held_out) in enumerate(splits.split(labels, labels, groups)):
            folds[held_out] = number
    return folds


def _check(examples: Examples, folds: np.ndarray, count: int, source: str) -> None:
    """Refuses folds of which one is empty, or has all images of a class."""
    sizes = np.bincount(folds, minlength=count)
    if not sizes.all():
        raise DataError(
            f"too few pictures in {shown(source)} - {len(examples)}, or groups of them, cannot "
            f"make {count} folds; give fewer --folds"
        )
    alone = [
        examples.class_names[label]
        for label in np.unique(examples.labels)
        if len(set(folds[examples.labels == label].tolist())) == 1
    ]
    if alone:
        raise DataError(
            f"too few pictures of {first_few(alone)} in {shown(source)} - each picture is held out "
            "once, and nothing of the class would be left to train on; add pictures that differ, "
            "and of another group with --group_by"
        )


def notes(examples: Examples, folds: np.ndarray) -> list[str]:
    """Names the classes that are not in every fold."""
    count = int(folds.max()) + 1
    missing = [
        examples.class_names[label]
        for label in np.unique(examples.labels)
        if len(set(folds[examples.labels == label].tolist())) < count
    ]
    if not missing:
        return []
    return [f"not every fold has pictures of {first_few(missing)}, which are too few for {count}"]
