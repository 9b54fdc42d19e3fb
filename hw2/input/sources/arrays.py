"""Examples from arrays of images, in memory or mapped into it."""

from __future__ import annotations

import dataclasses
import functools
import io
import os
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.files import decode, flat
from hw2.input.files.duplicates import DIGEST
from hw2.input.files.frame import Size
from hw2.input.files.names import shown
from hw2.input.files.opening import check_size, naming
from hw2.input.files.rules import Rules
from hw2.input.sources import idx


def examples(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    digests: np.ndarray | None = None,
) -> Examples:
    """Makes examples from arrays; images are scaled on loading, as decoded files are.

    Args:
      images: uint8 `[N, H, W, C]`, not empty.
      labels: `[N]` integers in [0, len(class_names)).
      class_names: One name per class.
      digests: `[N]` hashes of the images, to find duplicates.

    Raises:
      ValueError: The arrays have other dtypes or shapes, or do not fit together.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            "images must be uint8 [N, H, W, C] and not empty, got "
            f"{images.dtype} {list(images.shape)}."
        )
    return lazy_examples(lambda index: images[index], images.shape, labels, class_names, digests)


def lazy_examples(
    image: Callable[[int], np.ndarray],
    shape: tuple[int, int, int, int],
    labels: np.ndarray,
    class_names: Sequence[str],
    digests: np.ndarray | None,
) -> Examples:
    """Makes examples from a function that returns image `index` as uint8 `[H, W, C]`.

    Args:
      image: Maps an index to the image.
      shape: (N, H, W, C) of all images together.
      labels: As for `examples`, and so are `class_names` and `digests`.
    """
    width = digits(shape[0])
    return Examples(
        tuple(f"{index:0{width}d}" for index in range(shape[0])),
        labels.astype(np.int32),
        tuple(class_names),
        channels=shape[3],
        load=functools.partial(_load, image),
        digests=digests,
        content=lambda index: png(image(index)),
    )


def digits(count: int) -> int:
    """Returns how many digits the names of so many images have."""
    return max(5, len(str(count - 1)))


def digests(images: np.ndarray) -> np.ndarray:
    """Hashes each of `[N, ...]` images, `[N]` of dtype `duplicates.DIGEST`."""
    return np.array([decode.digest_of(image.tobytes()) for image in images], DIGEST)


def png(image: np.ndarray) -> bytes:
    """Encodes uint8 `[H, W, 1 or 3]` as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


def read_idx(
    folder: str | os.PathLike[str],
    part: str,
    class_names: Sequence[str] | None = None,
    rules: Rules | None = None,
) -> Examples:
    """Reads a part, "train" or "test", of a data set of the MNIST family.

    Args:
      folder: The folder of the files.
      part: "train" or "test".
      class_names: One name per class; by default numbers, at least "0" to "9".
      rules: Limits on an image.

    Raises:
      DataError: As `idx.read_part`, a label without a class name, or a size that is not accepted.
    """
    images, labels = idx.read_part(folder, part)
    check(folder, images, rules or Rules())
    highest = int(labels.max())
    if class_names is None:
        class_names = [str(label) for label in range(max(10, highest + 1))]
    if highest >= len(class_names):
        raise DataError(
            f"bad labels in {shown(folder)} - label {highest}, but {len(class_names)} classes; "
            "name every class"
        )
    images = images[..., np.newaxis]
    found = examples(images, labels, class_names, digests=digests(images))
    dull = [i for i, image in enumerate(images) if flat.spread(image) <= flat.SPREAD]
    notes = flat.note([found.names[i] for i in dull], len(images))
    return dataclasses.replace(found, notes=notes)


def check(path: str | os.PathLike[str], images: np.ndarray, rules: Rules) -> None:
    """Refuses images `[N, H, W, ...]` of a size that a file must not have.

    Raises:
      DataError: The size is not accepted.
    """
    with naming(path):
        check_size(images.shape[2], images.shape[1], rules.max_pixels, rules.min_size)


def _load(image: Callable[[int], np.ndarray], index: int, size: Size) -> np.ndarray:
    return decode.resize(image(index), size)
