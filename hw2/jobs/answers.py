"""The output of prediction: CSV, a competition's CSV or JSON lines, whole or not at all."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import TextIO

from hw2.errors import UsageError, writing
from hw2.input.files.names import shown
from hw2.runs import atomic, cells
from hw2.terminal import stream

STDOUT = "-"
LINES = (".jsonl", ".ndjson")  # file names that mean JSON lines


@dataclasses.dataclass(frozen=True)
class Answer:
    """The prediction for one picture.

    Attributes:
      number: Position of the picture in its source, from 0.
      name: Name of the picture.
      label: Its class if that is known, else -1.
      guesses: Classes, the likeliest first; empty for a bad picture.
      probabilities: Probabilities of the guesses.
      error: What is wrong with a bad picture, else "".
      confidence: By which it is rejected or not: the largest probability, or the negative of the
        distance to the nearest class.
      rejected: Whether that is too low for an answer.
    """

    number: int
    name: str
    label: int
    guesses: Sequence[int] = ()
    probabilities: Sequence[float] = ()
    error: str = ""
    confidence: float = 0.0
    rejected: bool = False


@dataclasses.dataclass(frozen=True)
class Form:
    """The format in which answers are written.

    Attributes:
      class_names: Names of the model's classes.
      guesses: How many guesses to write for each picture.
      labelled: Whether to write labels too.
      lines: Whether to write JSON lines instead of CSV.
      header: Column names that a competition asks for, the id first; empty for the default ones.
      ids: How to identify a picture: by its "name", the "stem" of its name, or its "number".
      answer: Whether to write a class as its "name" or its "number".
      rejecting: Whether pictures may be rejected, which JSON lines then tell of each.
      distances: Whether the confidence is the negative of a distance, which is written too.
      raw: Whether CSV cells stay as they are although a spreadsheet would compute them.
    """

    class_names: Sequence[str]
    guesses: int
    labelled: bool = False
    lines: bool = False
    header: Sequence[str] = ()
    ids: str = "name"
    answer: str = "name"
    rejecting: bool = False
    distances: bool = False
    raw: bool = False

    def write(self, file: TextIO) -> Callable[[Answer], None]:
        """Writes the header of a CSV file, and returns the function that writes an answer."""
        if self.lines:
            return lambda answer: print(json.dumps(self._json(answer)), file=file)
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(self.header or self._header())
        row = self._competition if self.header else self._row
        return lambda answer: rows.writerow(map(self._cell, row(answer)))

    def _header(self) -> list[str]:
        guesses = [
            f"{word}{f'_{place}' if place > 1 else ''}"
            for place in range(1, self.guesses + 1)
            for word in ("class", "probability")
        ]
        label = ["label"] if self.labelled else []
        distance = ["distance"] if self.distances else []
        return ["name", *label, *guesses, *distance, "error"]

    def _row(self, answer: Answer) -> list[object]:
        pairs = zip(answer.guesses, answer.probabilities, strict=True)
        values = [value for c, p in pairs for value in (self._class(c), f"{p:.6g}")]
        values += [""] * (2 * self.guesses - len(values))
        if answer.rejected:
            values[0] = ""  # its probability stays
        if self.distances:
            values.append("" if answer.error else f"{-answer.confidence:.6g}")
        label = [self._class(answer.label)] if self.labelled else []
        return [self._id(answer), *label, *values, answer.error]

    def _competition(self, answer: Answer) -> list[object]:
        """Formats a row for a competition.

        It has no place for errors: the answers of a bad picture, or a rejected one, are empty.
        """
        guesses = () if answer.rejected else answer.guesses[: len(self.header) - 1]
        values = [self._class(guess) for guess in guesses]
        return [self._id(answer), *values, *[""] * (len(self.header) - 1 - len(values))]

    def _json(self, answer: Answer) -> dict[str, object]:
        line: dict[str, object] = {"name": self._id(answer)}
        if answer.label >= 0:
            line["label"] = self._class(answer.label)
        if answer.error:
            return line | {"error": answer.error}
        pairs = zip(answer.guesses, answer.probabilities, strict=True)
        guesses = [{"class": self._class(c), "probability": round(p, 6)} for c, p in pairs]
        rejected = {"rejected": answer.rejected} if self.rejecting else {}
        distance = {"distance": round(-answer.confidence, 4)} if self.distances else {}
        return line | rejected | distance | {"guesses": guesses}

    def _cell(self, value: object) -> object:
        return cells.safe(value, raw=self.raw) if isinstance(value, str) else value

    def _id(self, answer: Answer) -> str | int:
        return answer.number if self.ids == "number" else id_of(answer.name, self.ids)

    def _class(self, number: int) -> str | int:
        if number < 0:
            return ""
        return number if self.answer == "number" else self.class_names[number]


def id_of(name: str, ids: str) -> str:
    """The id of a picture by its name: the "name", or the "stem" without folders and suffix."""
    return PurePosixPath(name).stem if ids == "stem" else name


def check_ids(names: Sequence[str], ids: str, source: str) -> None:
    """Refuses ids of which two pictures have the same, before any work is done.

    Raises:
      UsageError: Two pictures would have one id.
    """
    seen: dict[str, str] = {}
    for name in names if ids != "number" else ():
        one = id_of(name, ids)
        if one in seen:
            remedy = "--ids=name or --ids=number" if ids == "stem" else "--ids=number"
            raise UsageError(
                f"two pictures with one id in {shown(source)} - {shown(seen[one])} and "
                f"{shown(name)} are both {shown(one)} with --ids={ids}; give {remedy}"
            )
        seen[one] = name


def columns(header: str) -> list[str]:
    """Splits the names of a header, such as `id,class`.

    Raises:
      UsageError: There are fewer than two columns, or one has no name.
    """
    if not header:
        return []
    names = [name.strip() for name in header.split(",")]
    if len(names) < 2 or not all(names):
        raise UsageError(
            f"--header must name the id and at least one answer, as id,class, got {header!r}"
        )
    return names


def check(path: str, *, overwrite: bool) -> None:
    """Refuses an output that could not be written, before any work is done.

    Raises:
      UsageError: The path is a folder or a device, exists already, or its folder is missing.
    """
    if path == STDOUT:
        return
    if not path:
        raise UsageError("--output must name a file, got nothing; give answer.csv, or - for stdout")
    if os.path.isdir(path):
        raise UsageError(f"--output must be a file, {path} is a folder; name a file in it")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"--output must be a file, {path} is a device or a pipe; - is stdout")
    check_parent("--output", path)
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"--output={path} is there already; give another, or --overwrite")


def check_parent(flag: str, path: str) -> None:
    """Refuses a path in a folder that is missing, or that nothing may be written to.

    Raises:
      UsageError: It is.
    """
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        raise UsageError(f"{flag}={path} - there is no folder {parent}; make it")
    if not os.access(parent, os.W_OK):
        raise UsageError(f"{flag}={path} - {parent} cannot be written; give another folder")


@contextlib.contextmanager
def opened(path: str) -> Iterator[TextIO]:
    """Opens a file that appears under its name only if the block ends without an exception.

    Raises:
      RunError: The disk refuses the file.
    """
    if path == STDOUT:
        stream.show_all(sys.stdout)
        yield sys.stdout
        return
    with (
        writing(path, "make room or mend the folder, and start again"),
        atomic.opened(path) as file,
    ):
        yield file
