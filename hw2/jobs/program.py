"""The program that runs this training, where it is one that can be typed again."""

from __future__ import annotations

import sys
from pathlib import Path

SCRIPTS = ("train.py", "multi_gpu_train.py")  # at the top of the repository


def script() -> Path | None:
    """Returns the script that was started; None for `hw2`, a notebook or a program of the user's.

    The arguments of a notebook are those of its server, which trains nothing.
    """
    started = Path(sys.argv[0]) if sys.argv else Path()
    return started if started.name in SCRIPTS else None


def words() -> str:
    """Names what `python` has to be given to train, for the comment of a flagfile."""
    started = script()
    return started.name if started else "-m hw2 train"
