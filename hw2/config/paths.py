"""Paths as users write them: `~` for the home folder, and a comma between images and labels."""

from __future__ import annotations

import os
from collections.abc import Collection

from hw2.errors import UsageError

ARRAYS = (".npy", ".npz")


def files_of(path: str) -> list[str]:
    """Splits `IMAGES.npy,LABELS.csv` into its two paths; any other path is one."""
    images, comma, labels = path.rpartition(",")
    pair = comma and images.endswith(ARRAYS) and not os.path.lexists(path)
    return [images, labels] if pair else [path]


def expanded(path: str) -> str:
    """Replaces a leading `~` or `~user` by the home folder, as a shell does; `./~` is a file."""
    return ",".join(map(os.path.expanduser, files_of(path)))


def absolute(path: str, names: Collection[str] = ()) -> str:
    """Makes a path absolute, so that it means the same from every working folder.

    Args:
      path: The path; an empty one stays empty.
      names: Words that stand for something else than a path, and stay as they are.

    Raises:
      UsageError: The working folder is gone.
    """
    if not path or path in names:
        return path
    try:
        return ",".join(os.path.abspath(file) for file in files_of(expanded(path)))
    except FileNotFoundError:
        raise UsageError(
            f"cannot tell where {path} is - the working folder is gone; go to one that is there"
        ) from None
