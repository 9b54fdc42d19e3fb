"""IDX files, the format of MNIST and its family."""

from __future__ import annotations

import gzip
import math
import os
import zlib

import numpy as np

from hw2.errors import DataError
from hw2.input.files import stand_ins
from hw2.input.files.names import shown

FILES = {  # images and labels of each part, under MNIST's names; ".gz" may follow
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
KINDS = {1: "labels", 3: "images"}  # by the number of dimensions
UNSIGNED_BYTE = 8  # the third byte of a file is the type, the fourth counts the dimensions
MAX_DEFLATE_RATIO = 1032  # zlib.net/zlib_tech.html


def is_in(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds any file of the MNIST family."""
    return any(_find(folder, name) for names in FILES.values() for name in names)


def read_part(folder: str | os.PathLike[str], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads images and labels of one part, gzipped or not.

    Args:
      folder: The folder of `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, or of the
        same with `t10k` in place of `train`.
      part: "train" or "test".

    Returns:
      uint8 `[N, H, W]` and uint8 `[N]`.

    Raises:
      DataError: A file is missing, damaged or of another kind, or the two do not fit together.

    Source: the format is described at yann.lecun.com/exdb/mnist.
    """
    images_path, labels_path = (_existing(folder, name) for name in FILES[part])
    images, labels = _array(images_path, 3), _array(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"bad labels in {shown(labels_path)} - {len(labels)} labels for {len(images)} images; "
            "take both from one data set"
        )
    return images, labels


def to_classify(folder: str | os.PathLike[str], part: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads one part like `read_part`, but the labels are None if their file is missing."""
    images, labels = FILES[part]
    if _find(folder, labels):
        return read_part(folder, part)
    return _array(_existing(folder, images), 3), None


def is_images(path: str | os.PathLike[str]) -> bool:
    """Whether a file has the name of a file of images."""
    return os.path.basename(path).removesuffix(".gz").endswith("idx3-ubyte")


def images(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads one file of images, uint8 `[N, H, W]`.

    Raises:
      DataError: It is damaged or of another kind.
    """
    return _array(os.fspath(path), 3)


def _find(folder: str | os.PathLike[str], name: str) -> str | None:
    candidates = (os.path.join(folder, name + suffix) for suffix in ("", ".gz"))
    return next((path for path in candidates if os.path.isfile(path)), None)


def _existing(folder: str | os.PathLike[str], name: str) -> str:
    path = _find(folder, name)
    if path is None:
        raise DataError(f"no {name} in {shown(folder)} - not there, nor with .gz; add it")
    return path


def _array(path: str, dimensions: int) -> np.ndarray:
    """Reads one file, but at most one byte more than its header promises."""
    stand_ins.check(path)
    header = 4 + 4 * dimensions
    try:
        with open(path, "rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
        room = os.path.getsize(path) * (MAX_DEFLATE_RATIO if compressed else 1)
        with gzip.open(path) if compressed else open(path, "rb") as file:
            shape = _shape(path, file.read(header), dimensions)
            expected = math.prod(shape)
            if expected > room:
                raise _bad(path, f"expected {expected} bytes, more than a file of its size holds")
            content = file.read(expected + 1)  # one more byte tells whether any is left over
    except (OSError, EOFError, zlib.error) as error:
        raise _bad(path, f"unreadable ({shown(str(error))})") from error
    if len(content) != expected:
        found = len(content) if len(content) < expected else "more"
        raise _bad(path, f"expected {expected} bytes after the header, got {found}")
    return np.frombuffer(content, np.uint8).reshape(shape)


def _shape(path: str, header: bytes, dimensions: int) -> list[int]:
    """Checks the start of a header, and returns the sizes of the dimensions."""
    mark = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if header[:4] != mark:
        is_other = header[:3] == mark[:3] and header[3] in KINDS
        hint = f", the mark of {KINDS[header[3]]}: are the two files swapped?" if is_other else ""
        raise _bad(
            path, f"expected {KINDS[dimensions]}, marked {mark.hex()}, got {header[:4].hex()}{hint}"
        )
    if len(header) < 4 + 4 * dimensions:
        raise _bad(path, f"expected a header of {4 + 4 * dimensions} bytes, got {len(header)}")
    shape = [int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4)]
    if 0 in shape:
        raise _bad(path, f"expected at least one of everything, got sizes {shape}")
    return shape


def _bad(path: str, why: str) -> DataError:
    return DataError(f"bad IDX file in {shown(path)} - {why}; fetch it again")
