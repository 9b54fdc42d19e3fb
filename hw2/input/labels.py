"""Labels of images: one class each, or several.

They are `[N]` int32, the class of each image, or `[N, classes]` uint8, 1 where an image has a class
and 0 where it has not; an image may then have no class at all. The rank tells the two apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SEPARATOR = ";"  # between the classes of one image, in lists, splits and answers


def are_several(labels: np.ndarray) -> bool:
    """Whether an image may have several classes."""
    return labels.ndim == 2


def counts(labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts the images of each class, `[classes]` int64."""
    if are_several(labels):
        return labels.sum(0, dtype=np.int64)
    return np.bincount(labels, minlength=classes)


def has(labels: np.ndarray, label: int) -> np.ndarray:
    """Which images have a class, `[N]` booleans."""
    return labels[:, label] > 0 if are_several(labels) else labels == label


def equal(labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether each image has the same classes in both, `[N]` booleans."""
    same = labels == others
    return same.all(1) if are_several(labels) else same


def renumbered(labels: np.ndarray, numbers: np.ndarray, classes: int) -> np.ndarray:
    """Gives the classes other numbers.

    Args:
      labels: The labels.
      numbers: The new number of each class; -1 for a class that no image has, or that goes.
      classes: How many classes there are then.
    """
    if not are_several(labels):
        return numbers[labels]
    result = np.zeros([len(labels), classes], np.uint8)
    kept = np.flatnonzero(numbers >= 0)
    result[:, numbers[kept]] = labels[:, kept]
    return result


def of(labels: np.ndarray, index: int) -> list[int]:
    """Lists the classes of an image."""
    if are_several(labels):
        return np.flatnonzero(labels[index]).tolist()
    return [int(labels[index])]


def text(labels: np.ndarray, index: int, class_names: Sequence[str]) -> str:
    """Names the classes of an image, with `SEPARATOR` between them."""
    return SEPARATOR.join(class_names[label] for label in of(labels, index))


def texts(labels: np.ndarray, class_names: Sequence[str]) -> list[str]:
    """Names the classes of every image."""
    if not are_several(labels):
        return [class_names[label] for label in labels.tolist()]
    return [text(labels, index, class_names) for index in range(len(labels))]


def pairs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lists the pairs of an image and a class of it: indices of images, and classes."""
    if are_several(labels):
        images, classes = np.nonzero(labels)
        return images, classes
    return np.arange(len(labels)), labels
