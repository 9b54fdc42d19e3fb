"""The process in which a student's code runs: `python -m hw2.exercises.child FOLDER`.

FOLDER has calls.pickle, by the grader: the student's file, and calls of its functions. Each call's
outcome is written to a file of its own at once, so that an endless loop takes only itself. Imports
neither TensorFlow nor the grader.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import json
import os
import pickle
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

MEMORY = 8 * 2**30  # bytes of address space
WRITTEN = 2**28  # bytes of a file, such as that of what is printed
NOT_BEGUN = "not begun"  # how the text of every exercise begins its NotImplementedError
_GAP = 5  # numbers between two rows of the inner loop's tables
_SECONDS = 0.3  # of one timing, at most about


class Outside(Exception):
    """An inner loop reads or writes what is not its own."""


def main(folder: Path) -> None:
    """Makes all calls, and writes what came of them."""
    _limit()
    with (folder / "calls.pickle").open("rb") as file:  # by the grader, not by the student
        request = pickle.load(file)
    path = Path(request["file"])
    try:
        functions = _load_library(path) if path.suffix == ".so" else _load(path)
    except BaseException as error:  # whatever a file does when it is imported
        _write(folder / "import.json", _told(error, path))
        return
    _write(folder / "import.json", {"functions": sorted(functions)})
    for number, (name, arguments, timed) in enumerate(request["calls"]):
        if name in functions:
            call = _timed if timed else _called
            _write(
                folder / f"{number}.json", call(functions[name], arguments, path, folder, number)
            )


def _called(
    function: Callable[..., Any], arguments: tuple, path: Path, folder: Path, number: int
) -> dict[str, Any]:
    """One call; arrays of the result are written beside."""
    copies = [np.copy(a) if isinstance(a, np.ndarray) else a for a in arguments]
    try:
        result = function(*copies)
    except BaseException as error:
        return _told(error, path)
    changed = [
        k
        for k, (a, b) in enumerate(zip(arguments, copies, strict=True))
        if isinstance(a, np.ndarray) and not np.array_equal(a, b)
    ]
    parts = list(result) if isinstance(result, tuple | list) else [result]
    kinds = []
    for k, part in enumerate(parts):
        try:
            array = np.asarray(part)
        except (TypeError, ValueError):
            array = np.asarray(None)
        number_like = array.dtype.kind in "biufc"
        kinds.append(str(array.dtype) if number_like else type(part).__name__)
        if number_like:
            np.save(folder / f"{number}-{k}.npy", array, allow_pickle=False)
    return {"tuple": isinstance(result, tuple | list), "kinds": kinds, "changed": changed}


def _timed(
    function: Callable[..., Any], arguments: tuple, path: Path, folder: Path, number: int
) -> dict[str, Any]:
    """Median seconds of a call; the first of several warms up."""
    call = (
        function.bound(*arguments)
        if isinstance(function, InnerLoop)
        else functools.partial(function, *arguments)
    )
    times: list[float] = []
    try:
        while not times or (sum(times) < _SECONDS and len(times) < 50):
            start = time.perf_counter()
            call()
            times.append(time.perf_counter() - start)
    except BaseException as error:
        return _told(error, path)
    return {"seconds": statistics.median(times[1:] or times)}


def _load(path: Path) -> Mapping[str, Callable[..., Any]]:
    """Imports a student's file, whatever its name."""
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("student", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules["student"] = module  # where dataclasses, for one, look for the names of a class
    spec.loader.exec_module(module)
    return {name: value for name, value in vars(module).items() if callable(value)}


def _load_library(path: Path) -> Mapping[str, Callable[..., Any]]:
    """Loads a student's inner loop."""
    return {"inner_loop": InnerLoop(path)}


class InnerLoop:
    """A student's inner loop in a library, as a function of arrays."""

    _floats = ctypes.POINTER(ctypes.c_float)

    def __init__(self, path: Path):
        self._loop = ctypes.CDLL(str(path)).inner_loop
        floats, long = self._floats, ctypes.c_long
        self._loop.argtypes = [floats, long, floats, floats, long, long]
        self._loop.restype = None

    def __call__(self, patches: np.ndarray, filters: np.ndarray, result: np.ndarray) -> np.ndarray:
        """Returns the result with what the loop adds to it.

        Raises:
          Outside: The loop reads or writes between the rows.
        """
        tile = _with_gap(result, 7.0)
        self.bound(patches, filters, tile)()
        if (tile[:, result.shape[1] :] != 7.0).any():
            raise Outside(
                "it writes between the rows of the result, of which row i begins at "
                "i * result_row and has 16 numbers"
            )
        if not np.isfinite(tile).all():
            raise Outside(
                "it reads between the rows of the patches, of which row i begins at "
                "i * patch_row and has as many numbers as there are taps"
            )
        return tile[:, : result.shape[1]].astype(patches.dtype)

    def bound(
        self, patches: np.ndarray, filters: np.ndarray, tile: np.ndarray
    ) -> Callable[[], None]:
        """The loop alone, which is timed; a call adds to `tile`, rows in float32."""
        wide = _with_gap(patches, np.nan)  # whoever reads the gap gets no number
        packed = np.ascontiguousarray(filters, np.float32)
        # A pointer keeps its table.
        x, w, y = (table.ctypes.data_as(self._floats) for table in (wide, packed, tile))
        return functools.partial(self._loop, x, wide.shape[1], w, y, tile.shape[1], len(filters))


def _with_gap(table: np.ndarray, value: float) -> np.ndarray:
    wide = np.full((len(table), table.shape[1] + _GAP), value, np.float32)
    wide[:, : table.shape[1]] = table
    return wide


def _told(error: BaseException, path: Path) -> dict[str, Any]:
    """An exception, and the line of the student's file that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    begun = not (isinstance(error, NotImplementedError) and text.startswith(NOT_BEGUN))
    line = lines[-1] if lines else None
    return {"error": type(error).__name__, "text": text[:300], "line": line, "begun": begun}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), "utf-8")
    os.replace(part, path)


def _limit() -> None:
    """Limits the memory, and the length of a file: Python gets an `OSError` where it is reached."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, WRITTEN))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, OSError, ValueError):  # another system; the time limit is left
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
