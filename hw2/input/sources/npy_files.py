"""Opens `.npy` and `.npz` files of images safely: checked against their headers, not unpickled."""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from hw2.errors import DataError
from hw2.input.files import stand_ins
from hw2.input.files.names import beginning, shown

FORMS = (
    "images are [N, H, W] or [N, H, W, 1 or 3], of uint8 or uint16, or of float in [0, 1] or "
    "[0, 255]"
)
IMAGES = ("images", "x", "data", "arr_0")  # names of images within an .npz, best first
LABELS = ("labels", "y", "target", "arr_1")
PREFIXES = {  # names of the parts, in the names of files and within an .npz
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_ARRAY = b"\x93NUMPY"  # begins an .npy file, whatever its name
MAX_DEFLATE_RATIO = 1032  # zlib.net/zlib_tech.html


def images_and_labels(path: str, part: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Opens the images of a file, and the labels that an `.npz` file may hold beside them.

    Args:
      path: An `.npy` file, which is mapped into memory, or an `.npz` file, which is read.
      part: "train", "validation" or "test", for an `.npz` that holds several.

    Returns:
      Images `[N, H, W, C]`, and labels or None.

    Raises:
      DataError: The file is damaged, pickled, or holds something else.
    """
    stand_ins.check(path)
    with _naming(path), open(path, "rb") as file:
        start = file.read(len(_ARRAY))
    archived = start != _ARRAY and (path.endswith(".npz") or start.startswith(b"PK"))
    images, labels = _in_archive(path, part) if archived else (mapped(path), None)
    return _checked_shape(path, images), labels


def mapped(path: str) -> np.ndarray:
    """Maps an `.npy` file into memory, after checking that it is as long as its header says.

    Raises:
      DataError: The file is damaged, pickled, or not an array.
    """
    stand_ins.check(path)
    with _naming(path), open(path, "rb") as file:
        shape, fortran, dtype, start = _header(file)
        _check_length(shape, dtype, os.fstat(file.fileno()).st_size - start)
        if 0 in shape:  # an empty file cannot be mapped
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype, "r", offset=start, shape=shape, order="F" if fortran else "C")


def _in_archive(path: str, part: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads the images of a part, and its labels or None."""
    with _naming(path), zipfile.ZipFile(path) as archive:
        members = {m.filename.removesuffix(".npy").lower(): m for m in archive.infolist()}
        prefixed = [
            ([f"x_{p}", f"{p}_images", f"{p}_x"], [f"y_{p}", f"{p}_labels", f"{p}_y"])
            for p in PREFIXES[part]
        ]
        for images, labels in [*prefixed, (IMAGES, LABELS)]:
            found = next((members[name] for name in images if name in members), None)
            if found is not None:
                other = next((members[name] for name in labels if name in members), None)
                named = _member(archive, other) if other is not None else None
                return _member(archive, found), named
        wanted = ", ".join(IMAGES[:2])
        raise _Refused(f"no {part} images among {sorted(members)[:8]}", f"call them {wanted}")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    if member.file_size > max(member.compress_size, 1) * MAX_DEFLATE_RATIO:
        raise _Refused(f"{member.filename} claims {member.file_size} bytes", "fetch it again")
    if archive.fp is None or member.compress_size > os.fstat(archive.fp.fileno()).st_size:
        raise _Refused(f"{member.filename} claims {member.compress_size} packed", "fetch it again")
    with archive.open(member) as file:
        shape, fortran, dtype, start = _header(file)
        _check_length(shape, dtype, member.file_size - start)
        content = file.read()
    return np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Reads shape, whether the order is Fortran's, dtype, and the offset of the values."""
    start = file.read(8)
    if not start:
        raise _Refused("empty", "fetch it again")
    if start[:6] != _ARRAY:
        raise _Refused(f"not an array (starts with {beginning(start)})", "write it with numpy.save")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise _Refused(f"version {version} of the format", "write it with numpy.save")
    shape, fortran, dtype = readers[version](file)
    if dtype.hasobject:
        raise _Refused(
            "it holds pickled objects, which may run code",
            "save labels by numpy.save(PATH, labels.astype(str)), images as numbers",
        )
    return shape, fortran, dtype, file.tell()


def _check_length(shape: tuple[int, ...], dtype: np.dtype, found: int) -> None:
    expected = math.prod(shape) * dtype.itemsize
    if found < expected:
        raise _Refused(
            f"truncated: its header says {expected} bytes of values, there are {found}",
            "fetch it again",
        )


def bad(path: str, why: str, remedy: str) -> DataError:
    """Makes the error about a file of images."""
    return DataError(f"bad array in {shown(path)} - {why}; {remedy}")


def _checked_shape(path: str, images: np.ndarray) -> np.ndarray:
    """Returns images as `[N, H, W, C]`, or raises a `DataError`."""
    got = f"got {images.dtype} {list(images.shape)}"
    kind, width = images.dtype.kind, images.dtype.itemsize
    if kind != "f" and not (kind == "u" and width <= 2):
        raise bad(path, got, FORMS)
    if images.ndim == 3 and images.shape[2] in (1, 3, 4) and images.shape[1] > images.shape[2]:
        height, width, channels = images.shape
        raise bad(
            path,
            f"{got}, which is one picture of {channels} channels, or {height} grey ones of "
            f"{width}x{channels}",
            f"save it as [1, {height}, {width}, {channels}], or as [{height}, {width}, "
            f"{channels}, 1]",
        )
    if images.ndim not in (3, 4) or 0 in images.shape or images.shape[3:] not in ((), (1,), (3,)):
        if images.ndim == 4 and images.shape[1] in (1, 3) and min(images.shape[2:]) > 3:
            got += ", which has its channels first"
            raise bad(path, got, "move them to the end: np.moveaxis(images, 1, 3)")
        raise bad(path, got, FORMS)
    return images[..., np.newaxis] if images.ndim == 3 else images


class _Refused(Exception):
    """A reason and a remedy; `_naming` adds the path."""


@contextlib.contextmanager
def _naming(path: str) -> Iterator[None]:
    """Turns any error about a file into a `DataError` that names it."""
    try:
        yield
    except _Refused as refused:
        raise bad(path, *refused.args) from None
    except zipfile.BadZipFile as error:
        raise bad(path, f"not a whole archive ({shown(str(error))})", "fetch it again") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes zipfile and NumPy raise nearly anything
        text = shown(str(error))[:200] or type(error).__name__
        why = f"damaged ({text})"
        if isinstance(error, OSError) and error.strerror:
            why = error.strerror.lower()
        raise bad(path, why, "fetch it again") from error
