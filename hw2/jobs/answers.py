"""The file of answers: CSV, the form of a competition, or JSON lines; there whole or not at all."""

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
from hw2.runs import atomic

STDOUT = "-"
LINES = (".jsonl", ".ndjson")  # endings of JSON lines


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model says of one picture.

    Attributes:
      number: Of the picture in its source, from 0.
      name: Of the picture.
      label: Its class, where that is known; else -1.
      guesses: Classes, the likeliest first; none of a bad picture.
      probabilities: Of the guesses.
      error: What is wrong with a bad picture; else "".
    """

    number: int
    name: str
    label: int
    guesses: Sequence[int] = ()
    probabilities: Sequence[float] = ()
    error: str = ""


@dataclasses.dataclass(frozen=True)
class Form:
    """How answers are written.

    Attributes:
      class_names: The model's.
      guesses: How many of each picture.
      labelled: Whether to write labels too.
      lines: JSON lines in place of CSV.
      header: Names of the columns of a competition, that of the id first; empty for our own.
      ids: What a picture is called: its "name", the "stem" of that, or its "number".
      answer: Classes by "name" or by "number".
    """

    class_names: Sequence[str]
    guesses: int
    labelled: bool = False
    lines: bool = False
    header: Sequence[str] = ()
    ids: str = "name"
    answer: str = "name"

    def write(self, file: TextIO) -> Callable[[Answer], None]:
        """Writes the header, if there is one, and returns what writes an answer."""
        if self.lines:
            return lambda answer: print(json.dumps(self._json(answer)), file=file)
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(self.header or self._header())
        row = self._competition if self.header else self._row
        return lambda answer: rows.writerow(row(answer))

    def _header(self) -> list[str]:
        guesses = [
            f"{word}{f'_{place}' if place > 1 else ''}"
            for place in range(1, self.guesses + 1)
            for word in ("class", "probability")
        ]
        return ["name", *(["label"] if self.labelled else []), *guesses, "error"]

    def _row(self, answer: Answer) -> list[object]:
        pairs = zip(answer.guesses, answer.probabilities, strict=True)
        values = [value for c, p in pairs for value in (self._class(c), f"{p:.6g}")]
        values += [""] * (2 * self.guesses - len(values))
        label = [self._class(answer.label)] if self.labelled else []
        return [self._id(answer), *label, *values, answer.error]

    def _competition(self, answer: Answer) -> list[object]:
        """An answer that is missing is empty: the form has no room for an error."""
        values = [self._class(guess) for guess in answer.guesses[: len(self.header) - 1]]
        return [self._id(answer), *values, *[""] * (len(self.header) - 1 - len(values))]

    def _json(self, answer: Answer) -> dict[str, object]:
        line: dict[str, object] = {"name": self._id(answer)}
        if answer.label >= 0:
            line["label"] = self._class(answer.label)
        if answer.error:
            return line | {"error": answer.error}
        pairs = zip(answer.guesses, answer.probabilities, strict=True)
        guesses = [{"class": self._class(c), "probability": round(p, 6)} for c, p in pairs]
        return line | {"guesses": guesses}

    def _id(self, answer: Answer) -> str | int:
        if self.ids == "number":
            return answer.number
        return PurePosixPath(answer.name).stem if self.ids == "stem" else answer.name

    def _class(self, number: int) -> str | int:
        if number < 0:
            return ""
        return number if self.answer == "number" else self.class_names[number]


def columns(header: str) -> list[str]:
    """Reads `id,class`.

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
    """Looks for what stands in the way of an output, before any work is done.

    Raises:
      UsageError: It is a folder, or there already, or its folder is missing.
    """
    if path == STDOUT:
        return
    if not path:
        raise UsageError("--output must name a file, got nothing; give answer.csv, or - for stdout")
    if os.path.isdir(path):
        raise UsageError(f"--output must be a file, {path} is a folder; name a file in it")
    parent = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(parent):
        raise UsageError(f"--output={path} - there is no folder {parent}; make it")
    if not os.access(parent, os.W_OK):
        raise UsageError(f"--output={path} - {parent} cannot be written; give another folder")
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"--output={path} is there already; give another, or --overwrite")


@contextlib.contextmanager
def opened(path: str) -> Iterator[TextIO]:
    """A file that takes its name once the block has ended well, and else is gone.

    Raises:
      RunError: The disk refuses it.
    """
    if path == STDOUT:
        sys.stdout.reconfigure(errors="surrogateescape")
        yield sys.stdout
        return
    with (
        writing(path, "make room or mend the folder, and start again"),
        atomic.opened(path) as file,
    ):
        yield file
