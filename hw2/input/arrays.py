"""Pictures that lie in memory as one array."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input import decode, idx
from hw2.input.examples import Examples
from hw2.input.paths import shown


def examples(images: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Examples:
    """Makes examples of arrays, scaled on loading as decoded files are.

    Args:
      images: uint8 `[N, H, W, C]`, not empty.
      labels: `[N]` integers in [0, len(class_names)).
      class_names: One name per class.

    Raises:
      ValueError: The arrays are of another kind, or do not fit together.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            "images must be uint8 [N, H, W, C] and not empty, got "
            f"{images.dtype} {list(images.shape)}."
        )
    width = max(5, len(str(len(images) - 1)))
    return Examples(
        tuple(f"{index:0{width}d}" for index in range(len(images))),
        labels.astype(np.int32),
        tuple(class_names),
        channels=images.shape[3],
        load=functools.partial(_load, images),
    )


def read_idx(
    folder: str | os.PathLike[str], part: str, class_names: Sequence[str] | None = None
) -> Examples:
    """Reads a part, "train" or "test", of a data set of the MNIST family.

    Args:
      class_names: One name per class; by default numbers, "0" to "9" at least.

    Raises:
      DataError: As `idx.read`, or a label without a class name.
    """
    images, labels = idx.read(folder, part)
    highest = int(labels.max())
    if class_names is None:
        class_names = [str(label) for label in range(max(10, highest + 1))]
    if highest >= len(class_names):
        raise DataError(
            f"bad labels in {shown(folder)} - label {highest}, but {len(class_names)} classes; "
            "name every class"
        )
    return examples(images[..., np.newaxis], labels, class_names)


def _load(images: np.ndarray, index: int, short_side: int) -> np.ndarray:
    return decode.resize(images[index], short_side)
