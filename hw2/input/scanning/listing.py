"""Image files and their labels as a source lists them, before any is opened."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input.files.names import shown


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """Image files below a root, or records that hold such files.

    Attributes:
      root: The folder that names are relative to.
      names: Unique paths below the root, with "/" between folders.
      labels: As in `Examples`; of the first kind -1 for an image without a label, which only
        prediction accepts.
      class_names: One name per class.
      source: What the user gave: the root itself, or the file that lists the images.
      lines: Where `source` is a file, the line number of each name in it.
      records: Size and time of each record, `[N, 2]` int64, where the images are not files.
      read: Function from an index to the bytes of a record.
      refused: Reason and remedy for files that must not be opened, by index.
      blocked: The message about each folder that cannot be listed, by its name.
      left: What else was found in the folder of a class, by its number.
      notes: Sentences about what was left out or is unusual.
    """

    root: str
    names: Sequence[str] = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    class_names: tuple[str, ...]
    source: str
    lines: Sequence[int] | None = dataclasses.field(default=None, repr=False)
    records: np.ndarray | None = dataclasses.field(default=None, repr=False)
    read: Callable[[int], bytes] | None = dataclasses.field(default=None, repr=False)
    refused: Mapping[int, str] = dataclasses.field(default_factory=dict, repr=False)
    blocked: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    left: Mapping[int, str] = dataclasses.field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def check(self, index: int) -> None:
        """Raises a `DataError` if a file must not be opened."""
        if index in self.refused:
            raise DataError(f"bad picture in {self.place(index)} - {self.refused[index]}")

    def path(self, index: int) -> str:
        """Returns the path of a file."""
        return os.path.join(self.root, self.names[index])

    def place(self, index: int) -> str:
        """Returns what messages call a file: its path, or the line that lists it."""
        if self.read is not None:
            return f"{shown(self.source)} ({shown(self.names[index])})"
        if self.lines is None:
            return shown(self.path(index))
        return f"{shown(self.source)}:{self.lines[index]} ({shown(self.names[index])})"
