"""Files in the place of others: pointers of Git LFS, and copies that were cut off."""

from __future__ import annotations

import os

from hw2.errors import DataError
from hw2.input.files.names import shown

START_BYTES = 512
_POINTER = b"version https://git-lfs.github.com/spec/"  # github.com/git-lfs, docs/spec.md


def reason(start: bytes, what: str = "file") -> tuple[str, str] | None:
    """Returns why a file that begins with `start` is no data, and the remedy, or None."""
    if start.startswith(_POINTER):
        return f"a pointer of Git LFS, not the {what} itself", "run git lfs pull"
    if start and not start.strip(b"\0"):
        return "it begins with zeros, as a copy or download that was cut off", "copy it again"
    return None


def check(path: str | os.PathLike[str]) -> None:
    """Refuses a file that stands in the place of another one.

    Raises:
      DataError: It does; the message names the file. One that cannot be read is left to its
        reader.
    """
    try:
        with open(path, "rb") as file:
            found = reason(file.read(START_BYTES))
    except OSError:
        return
    if found:
        why, remedy = found
        raise DataError(f"no data in {shown(path)} - {why}; {remedy}")
