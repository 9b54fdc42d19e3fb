"""Writes that are verified on the disk, and reads of hashes and JSON."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

CHUNK = 2**20
LARGEST_JSON = 2**26  # bytes; a million class names take half of it


def write(path: Path, data: bytes) -> str:
    """Writes a file, waits for the disk, and reads it back from there.

    Returns:
      Its SHA-256, in hexadecimal.

    Raises:
      OSError: The disk refuses, or gives back something else.
    """
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):  # so that reading asks the disk, not memory
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    expected = hashlib.sha256(data).hexdigest()
    if sha256(path) != expected:
        raise OSError(f"{path.name} does not read back as written")
    return expected


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def flush(path: Path) -> None:
    """Waits until the disk has the bytes of a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def json_bytes(value: Any) -> bytes:
    """Encodes a value as JSON, an item a line; numbers must be finite."""
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
      ValueError: It is something else, too large, or holds a number that is not finite.
    """
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise ValueError(f"{path.name} has {size:,} bytes, more than {LARGEST_JSON:,}")

    def refuse(constant: str) -> None:
        raise ValueError(f"{path.name} holds {constant}, which is no number")

    try:
        value = json.loads(path.read_bytes(), parse_constant=refuse)
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not an object")
    return value
