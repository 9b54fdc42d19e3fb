"""Writes that are verified on the disk, and reads of hashes and JSON.

Not every disk knows every call: network and user-space file systems often cannot flush a folder.
What a disk does not know is told of once and done without; what loses data is an error.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

CHUNK = 2**20
LARGEST_JSON = 2**26  # bytes; a million class names take half of it
# What a system answers to a call that this disk does not know, such as fsync of a folder: EINVAL
# on CIFS and FUSE, EBADF where it wants to write to what it flushes, EACCES and EISDIR where a
# folder cannot be opened. A disk that is full or broken answers otherwise: ENOSPC, EDQUOT, EIO.
LACKING = {
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EBADF,
    errno.EACCES,
    errno.EPERM,
    errno.EISDIR,
}


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
        _flush(file.fileno(), path)
        if hasattr(os, "posix_fadvise"):  # so that reading asks the disk, not memory
            with contextlib.suppress(OSError):  # else it may be memory that answers
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
    """Waits until the disk has the bytes of a file, or the names in a folder, if it can tell.

    Raises:
      OSError: The disk is full or broken.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        if not path.is_dir():
            raise
        return _tell_lacking(error, path)
    try:
        _flush(handle, path)
    finally:
        os.close(handle)


def put_folder(new: Path, path: Path, old: Path) -> None:
    """Gives a folder that is whole its name, in place of the one that has it.

    The system can replace a file by a file in one step, but not a folder that holds something:
    there is a moment between two renames when the old folder and the new one both are whole, under
    the names `old` and `new`. A process that is killed there leaves them so.

    Raises:
      OSError: The disk refuses; then what had the name has it again.
    """
    replaces = path.exists()
    if replaces:
        shutil.rmtree(old, ignore_errors=True)  # of a process that was killed further below
        flush(path.parent)  # the new name must not reach the disk after the renames
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if replaces:
            old.rename(path)
        raise
    flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


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


def _flush(handle: int, path: Path) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        _tell_lacking(error, path)


def _tell_lacking(error: OSError, path: Path) -> None:
    """Warns that a disk cannot flush; raises the error again if it is of another kind."""
    if error.errno not in LACKING:
        raise error
    for place in (path, *path.parents):  # the same words for all temporary names: said once
        if place.name.endswith(".partial"):
            path = place.parent
    folder = path if path.is_dir() else path.parent
    warnings.warn(
        f"no flush on the disk of {folder} - {os.strerror(error.errno).lower()}; if the power "
        "fails, what was written last may be lost",
        stacklevel=1,  # one place, so that Python shows the same words once
    )
