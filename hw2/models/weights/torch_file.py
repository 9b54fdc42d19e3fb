"""Reads the arrays of a file that PyTorch saved, without PyTorch, and builds nothing else.

A pickle may call any function that it names. This one may name only the few that stand for arrays;
anything else is refused before it is called.

Source: torch/serialization.py of github.com/pytorch/pytorch, for both formats: a row of pickles
with the data behind them, as before version 1.6, and a zip archive.
"""

from __future__ import annotations

import collections
import dataclasses
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the older format
DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Where the numbers of arrays are: a key, and their type."""

    key: str
    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class _Array:
    """An array, before the numbers are read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads a file of arrays by name.

    Raises:
      ValueError: It is no such file, or names anything but arrays.
      OSError: It cannot be opened.
    """
    try:
        if zipfile.is_zipfile(path):
            return _of_archive(path)
        with path.open("rb") as file:
            return _of_pickles(file)
    except (pickle.UnpicklingError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(str(error) or "it ends too early") from error
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"not a file of PyTorch's ({error})") from error


def _of_pickles(file: BinaryIO) -> dict[str, np.ndarray]:
    """Reads the older format: magic number, version, machine, arrays, keys, then numbers."""
    if _Unpickler(file).load() != MAGIC:
        raise ValueError("not a file of PyTorch's")
    _Unpickler(file).load()  # the version of the format
    machine = _Unpickler(file).load()
    if not machine.get("little_endian", True):
        raise ValueError("written by a big-endian machine")
    unpickler = _Unpickler(file)
    found = unpickler.load()
    numbers = {}
    for key in _Unpickler(file).load():
        storage = unpickler.storages[key]
        count = int.from_bytes(file.read(8), "little")
        data = file.read(count * storage.dtype.itemsize)
        numbers[key] = np.frombuffer(data, storage.dtype, count)
    return _arrays(found, numbers.__getitem__)


def _of_archive(path: Path) -> dict[str, np.ndarray]:
    """Reads the newer format: a zip archive of a pickle and one file for each storage."""
    with zipfile.ZipFile(path) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        root = name.removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") == b"big":
            raise ValueError("written by a big-endian machine")
        unpickler = _Unpickler(io.BytesIO(archive.read(name)))
        found = unpickler.load()

        def numbers(key: str) -> np.ndarray:
            return np.frombuffer(archive.read(f"{root}data/{key}"), unpickler.storages[key].dtype)

        return _arrays(found, numbers)


def _arrays(found: Any, numbers: Callable[[str], np.ndarray]) -> dict[str, np.ndarray]:
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict):
        raise ValueError("it holds no arrays by name")
    arrays = {str(key): value for key, value in found.items() if isinstance(value, _Array)}
    return {key: _laid_out(value, numbers(value.storage.key)) for key, value in arrays.items()}


def _laid_out(array: _Array, numbers: np.ndarray) -> np.ndarray:
    """The array, read from its storage by its strides; what lies beyond it is refused."""
    sizes = list(zip(array.shape, array.strides, strict=True))
    if array.offset < 0 or any(size < 0 or step < 0 for size, step in sizes):
        raise ValueError("an array with negative sizes")
    if 0 in array.shape:
        return np.zeros(array.shape, numbers.dtype)
    last = array.offset + sum((size - 1) * step for size, step in sizes)
    if last >= numbers.size:
        raise ValueError("an array beyond the end of its numbers")
    steps = [step * numbers.itemsize for step in array.strides]
    view = np.lib.stride_tricks.as_strided(numbers[array.offset :], array.shape, steps)
    return np.array(view)


class _Unpickler(pickle.Unpickler):
    """Builds plain values, ordered dicts and arrays; refuses every other name."""

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in DTYPES:
            return np.dtype(DTYPES[name])
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuilt
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"it refers to {kind!r}, which is no array")
        return self.storages.setdefault(str(key), _Storage(str(key), dtype))


def _rebuilt(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Array:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("an array without numbers")
    return _Array(storage, int(offset), tuple(map(int, shape)), tuple(map(int, strides)))


def _parameter(data: _Array, *_: Any) -> _Array:
    return data
