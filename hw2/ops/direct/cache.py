"""The folder that keeps from one start to the next what takes seconds to find out."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

VARIABLE = "HW2_CACHE_DIR"


def folder() -> Path | None:
    """`$HW2_CACHE_DIR`, or hw2 in the user's cache folder; None where there is no home."""
    if named := os.environ.get(VARIABLE):
        return Path(named).absolute()
    of_user = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(of_user):  # relative ones are to be ignored, says the XDG specification
        home = os.path.expanduser("~")
        if not os.path.isabs(home):
            return None
        of_user = os.path.join(home, ".cache")
    return Path(of_user) / "hw2"


def replace(made: Path, path: Path) -> None:
    """Puts a file in place whole: a machine that stops within leaves the old one, or none.

    Network and user-space file systems often cannot flush a folder; then the name alone may be
    lost with the power, and the file is made again.
    """
    with made.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(made, path)
    with contextlib.suppress(OSError):
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
