"""Files and folders that appear on the disk whole, or not at all.

Each is written under a temporary name beside its own, flushed to the disk, and then renamed. A
reader sees the old content or the new, never half of either, even after a loss of power.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from hw2.runs import disk

_PARTIAL = ".partial"


def is_left_over(name: str) -> bool:
    """Whether a file is what a process that was killed had begun to write."""
    return name.startswith(".") and name.endswith(_PARTIAL)


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Writes a file.

    Raises:
      OSError: The disk refuses.
    """
    with replacing(path) as partial:
        partial.write_bytes(data)


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """Opens a text file that takes its name when the block ends without an error.

    Line ends are written as given. The text is UTF-8; bytes of file names that are not UTF-8, which
    Python holds as surrogates, are written as they were.

    Raises:
      OSError: The disk refuses.
    """
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        yield file


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary path for the block to write to, a file or a folder, then renames it.

    A file replaces what has its name in one step; for a folder see `disk.put_folder`. If the block
    raises an error, what it has written is removed.

    Raises:
      OSError: The disk refuses, or the path is a device or a pipe, which is not replaced by a file.
    """
    path = Path(os.path.abspath(path))
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "a device or a pipe, not a file", str(path))
    unique = f".{path.name}.{secrets.token_hex(4)}"
    partial = path.with_name(f"{unique}{_PARTIAL}")
    try:
        yield partial
        _flush(partial)
        if partial.is_dir():
            if not path.is_dir() or path.is_symlink():
                path.unlink(missing_ok=True)
            disk.put_folder(partial, path, path.with_name(f"{unique}.replaced"))
        else:
            os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            _remove(partial)
        raise


def _flush(path: Path) -> None:
    """Waits until the disk has a file, or a folder with all that is in it."""
    if path.is_dir():
        for inner in path.iterdir():
            _flush(inner)
    disk.flush(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
