"""Opens an image file, and turns whatever is wrong with it into one error that names it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from hw2.errors import DataError
from hw2.input.files.names import shown
from hw2.input.files.near import near

_OF_THE_DISK = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN)
MAX_ASPECT = 100  # a line of 3000x1 pixels would grow to 600 MB at a short side of 260


class Refused(Exception):
    """A reason and a remedy; `naming` adds the path."""


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Opens a regular file that is not empty."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait forever
        raise Refused("not a regular file", "remove it")
    if status.st_size == 0:
        raise Refused("empty", "replace or remove it")
    with open(path, "rb") as file:
        yield file


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns any error about a file into a `DataError` that names it."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        why, remedy = _reason(error, path)
        raise DataError(f"bad picture in {shown(path)} - {why}; {remedy}") from error


def check_size(width: int, height: int, max_pixels: int, min_size: int) -> None:
    """Refuses an image by its size, before memory is allocated."""
    if width * height > max_pixels:
        raise Refused(
            f"too many pixels ({width * height} > limit {max_pixels}; --max_pixels)",
            "shrink it, or raise the limit",
        )
    if min(width, height) < min_size:
        raise Refused(
            f"too small ({width}x{height}, below {min_size}; --min_size)",
            "remove it, or lower the limit",
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise Refused(f"too thin ({width}x{height}, over {MAX_ASPECT}:1)", "crop or remove it")


def _reason(error: Exception, path: str | os.PathLike[str]) -> tuple[str, str]:
    if isinstance(error, Refused):
        return error.args
    if isinstance(error, FileNotFoundError):
        if os.path.islink(path):
            return "dangling link", "restore or remove it"
        if found := near(path):
            return "no such file", f"did you mean {shown(found)}, which is there?"
        return "no such file", "restore or remove it"
    if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        return str(error.strerror).lower(), "try again, or copy the data to a disk of this machine"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower(), "make it readable, or remove it"
    text = shown(str(error)) or type(error).__name__
    return "truncated" if "truncated" in text.lower() else f"damaged ({text})", "replace it"
