"""Manifests: what a scan found about each file, so that the next start need not open it again.

There is one file for each source, in the user's cache folder and named by a hash of the source's
path; nothing is written beside the images.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence

import numpy as np

from hw2.input.files.duplicates import DIGEST
from hw2.runs import atomic

VERSION = 2
BLOCK = 4096  # names in one piece of memory
RECORD = np.dtype(
    [
        ("size", np.int64),
        ("mtime_ns", np.int64),
        ("digest", DIGEST),  # empty if the file was not scanned or cannot be used
        ("format", np.uint8),  # index into formats.NAMES
        ("width", np.int32),
        ("height", np.int32),
        ("animated", np.bool_),
        ("trailing", np.bool_),
        ("flat", np.bool_),
    ]
)


def load(
    folder: str | None, source: str, settings: dict[str, int], expected: Sequence[str] = ()
) -> tuple[Sequence[str], np.ndarray] | None:
    """Reads names and records of a source, or returns None if there is no valid manifest.

    Args:
      folder: Where manifests are kept.
      source: Path of the source.
      settings: Settings of the scan; a manifest made with others is not used.
      expected: The names as they are now; returned as they are if the manifest has the same, to
        save memory.

    Returns:
      The names, and records `[N]` of dtype `RECORD`.
    """
    if folder is None:
        return None
    try:
        with open(_path(folder, source), "rb") as opened, np.load(opened) as file:
            if json.loads(file["about"].tobytes()) != _about(source, settings):
                return None
            names = _names(file["names"].data, expected)
            records = file["records"]
    except Exception:  # damage makes zipfile and NumPy raise nearly anything
        return None  # missing or damaged: the scan opens all files again
    if records.dtype != RECORD or len(names) != len(records):
        return None
    return names, records


def save(
    folder: str | None,
    source: str,
    settings: dict[str, int],
    names: Sequence[str],
    records: np.ndarray,
) -> bool:
    """Writes a manifest, whole or not at all; returns whether it was written."""
    if folder is None or not len(names):
        return False
    path = _path(folder, source)
    about = np.frombuffer(json.dumps(_about(source, settings)).encode(), np.uint8)
    listed = np.frombuffer(b"".join(_blocks(names)), np.uint8)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with atomic.replacing(path) as partial, open(partial, "wb", opener=_private) as file:
            np.savez(file, about=about, names=listed, records=records)
    except OSError:
        return False
    return True


def _private(path: str, flags: int) -> int:
    """Opens a file that no other user may read."""
    return os.open(path, flags, 0o600)


def _path(folder: str, source: str) -> str:
    name = hashlib.blake2b(os.fsencode(os.path.realpath(source)), digest_size=12).hexdigest()
    return os.path.join(folder, "manifests", f"{name}.npz")


def _about(source: str, settings: dict[str, int]) -> dict[str, object]:
    return {"version": VERSION, "source": os.path.realpath(source), **settings}


def _blocks(names: Sequence[str]) -> Iterator[bytes]:
    """Yields the names separated by zeros, some thousand at a time."""
    for start in range(0, len(names), BLOCK):
        block = "\0".join(("", *names[start : start + BLOCK]))
        yield block[not start :].encode("utf-8", "surrogateescape")


def _names(content: memoryview, expected: Sequence[str]) -> Sequence[str]:
    at = 0
    for block in _blocks(expected):
        if content[at : at + len(block)] != block:
            break
        at += len(block)
    else:
        if expected and at == len(content):
            return expected
    return str(content, "utf-8", "surrogateescape").split("\0")
