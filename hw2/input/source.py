"""Whatever a path or a name stands for, as examples."""

from __future__ import annotations

import os

from hw2.errors import DataError
from hw2.input import arrays, builtin, folder, idx
from hw2.input.examples import Examples
from hw2.input.paths import shown

PARTS = ("train", "test")
FORMS = (
    f"give one of {', '.join(builtin.NAMES)}, a folder of class folders, or a folder with "
    f"{idx.FILES['train'][0]} and its kin"
)


def read(path: str | os.PathLike[str], part: str = "train") -> Examples:
    """Reads a data set by name, IDX files in a folder, or class folders.

    Args:
      path: The name goes before a folder of that name, which is `./digits`.
      part: "train" or "test". Class folders are one part, and are read whatever it says.

    Raises:
      DataError: The path is none of these, or what it stands for cannot be used.
      ValueError: There is no such part.
    """
    if part not in PARTS:
        raise ValueError(f"part must be train or test, got {part!r}.")
    if path in builtin.NAMES:
        return builtin.read(os.fspath(path), part)
    if not os.path.isdir(path):
        why = "not a folder" if os.path.lexists(path) else "no such folder"
        raise DataError(f"no data in {shown(path)} - {why}; {FORMS}")
    if idx.is_in(path):
        return arrays.read_idx(path, part)
    return folder.read(path)
