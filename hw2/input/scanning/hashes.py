"""Perceptual hashes of many images, kept between starts by the hash of their content."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hw2.errors import DataError, UsageError
from hw2.input.files import perceptual
from hw2.input.files.duplicates import DIGEST
from hw2.input.files.frame import Frame, Size
from hw2.input.scanning.survey import Report
from hw2.runs import atomic

SQUARE = Frame(perceptual.SIDE, "stretch")
FILE = "perceptual-1.npz"  # raise the number when the same image gets another hash
ROW = np.dtype([("digest", DIGEST), ("hash", np.uint64), ("none", np.bool_)])


def of(
    load: Callable[[int, Size], np.ndarray],
    digests: np.ndarray,
    *,
    cache_folder: str | None = None,
    report: Report | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes images.

    Args:
      load: As of `Examples`. An image that cannot be loaded has no hash.
      digests: `[N]` of the content, empty where unknown; what an earlier start has hashed is not
        loaded again.
      cache_folder: Where hashes are kept; None to keep none.
      report: Called with the number of images hashed, and of all.

    Returns:
      `[N]` uint64, and `[N]` booleans, false where an image has no hash.

    Raises:
      UsageError: ImageHash is not installed.

    Cost: about 2 ms an image of 100 pixels a side.
    """
    check()
    rows = np.zeros(len(digests), ROW)
    rows["digest"] = digests
    known = _load(cache_folder)
    place = np.searchsorted(known["digest"], digests)
    place = np.minimum(place, max(len(known) - 1, 0))
    found = np.zeros(len(digests), bool)
    if len(known):
        found = (known["digest"][place] == digests) & (digests != b"")
        rows[found] = known[place[found]]
    todo = np.flatnonzero(~found).tolist()

    failed = np.zeros(len(digests), bool)  # perhaps for now only, as where a disk is away

    def hashed(index: int) -> int | None:
        try:
            return perceptual.hash_of(load(index, SQUARE))
        except DataError:
            failed[index] = True
            return None

    with ThreadPoolExecutor() as pool:
        for done, (index, value) in enumerate(zip(todo, pool.map(hashed, todo), strict=True)):
            rows["hash"][index], rows["none"][index] = value or 0, value is None
            if report:
                report(len(digests) - len(todo) + done + 1, len(digests))
    if todo:
        _save(cache_folder, np.concatenate([known, rows[(rows["digest"] != b"") & ~failed]]))
    return rows["hash"], ~rows["none"]


def pairs(hashes: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Lists pairs of near-duplicates, `[P, 2]`, among the images that have a hash."""
    kept = np.flatnonzero(there)
    return kept[perceptual.pairs(hashes[kept])]


def check() -> None:
    """Refuses to go on without ImageHash.

    Raises:
      UsageError: It is not installed.
    """
    try:
        import imagehash  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "near-duplicates must have ImageHash, got none; pip install imagehash"
        ) from error


def _load(folder: str | None) -> np.ndarray:
    """What was kept, sorted by digest; nothing if the file is missing or damaged."""
    if folder is not None:
        try:
            with open(os.path.join(folder, FILE), "rb") as opened, np.load(opened) as file:
                rows = file["rows"]
            if rows.dtype == ROW and rows.ndim == 1:
                return rows
        except Exception:  # damage makes zipfile and NumPy raise nearly anything
            pass
    return np.zeros(0, ROW)


def _save(folder: str | None, rows: np.ndarray) -> None:
    """Keeps one row for each content; where the disk refuses, nothing is kept."""
    if folder is None or not len(rows):
        return
    _, first = np.unique(rows["digest"], return_index=True)
    try:
        os.makedirs(folder, exist_ok=True)
        with (
            atomic.replacing(os.path.join(folder, FILE)) as partial,
            open(partial, "wb") as file,
        ):
            np.savez(file, rows=rows[first])
    except OSError:
        return
