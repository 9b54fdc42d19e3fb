"""The output of prediction where a picture has several labels, and its count."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import numpy as np

from hw2.errors import UsageError
from hw2.input import labels as labelling
from hw2.jobs.answers import Answer, id_of
from hw2.runs import cells
from hw2.training import multilabel


@dataclasses.dataclass(frozen=True)
class SetForm:
    """The format in which the labels of pictures are written.

    Attributes:
      class_names: Names of the model's classes.
      thresholds: Of each class, from which probability on it is a label.
      labels: `[N, classes]`, the labels of the pictures if they are known.
      lines: Whether to write JSON lines instead of CSV.
      header: Two column names that a competition asks for; empty for the default ones.
      ids: How to identify a picture: by its "name", the "stem" of its name, or its "number".
      answer: Whether to write a class as its "name" or its "number".
      raw: Whether CSV cells stay as they are although a spreadsheet would compute them.
    """

    class_names: Sequence[str]
    thresholds: Sequence[float]
    labels: np.ndarray | None = None
    lines: bool = False
    header: Sequence[str] = ()
    ids: str = "name"
    answer: str = "name"
    raw: bool = False

    def write(self, file: TextIO) -> Callable[[Answer], None]:
        """Writes the header of a CSV file, and returns the function that writes an answer."""
        if self.lines:
            return lambda answer: print(json.dumps(self._json(answer)), file=file)
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(map(self._cell, self.header or self._header()))
        return lambda answer: rows.writerow(map(self._cell, self._row(answer)))

    def given(self, answer: Answer) -> list[int]:
        """The classes of which the probability reaches the threshold, in their order."""
        pairs = zip(answer.guesses, answer.probabilities, strict=True)
        return sorted(label for label, p in pairs if p >= self.thresholds[label])

    def _header(self) -> list[str]:
        known = ["true_labels"] if self.labels is not None else []
        columns = [f"probability_{name}" for name in self.class_names]
        return ["name", *known, "labels", *columns, "error"]

    def _row(self, answer: Answer) -> list[object]:
        given = self._text(self.given(answer))
        if self.header:  # a competition has no place for errors: the answer is empty
            return [self._id(answer), given]
        of_class = dict(zip(answer.guesses, answer.probabilities, strict=True))
        every = range(len(self.class_names))
        values = [f"{of_class[label]:.6g}" if of_class else "" for label in every]
        known = [self._text(true)] if (true := self._true(answer)) is not None else []
        return [self._id(answer), *known, given, *values, answer.error]

    def _json(self, answer: Answer) -> dict[str, object]:
        line: dict[str, object] = {"name": self._id(answer)}
        if (true := self._true(answer)) is not None:
            line["true_labels"] = [self._class(label) for label in true]
        if answer.error:
            return line | {"error": answer.error}
        pairs = zip(answer.guesses, answer.probabilities, strict=True)
        return line | {
            "labels": [self._class(label) for label in self.given(answer)],
            "probabilities": {self.class_names[label]: round(p, 6) for label, p in pairs},
        }

    def _true(self, answer: Answer) -> list[int] | None:
        return None if self.labels is None else labelling.of(self.labels, answer.number)

    def _text(self, labels: Sequence[int]) -> str:
        return labelling.SEPARATOR.join(str(self._class(label)) for label in labels)

    def _class(self, label: int) -> str | int:
        return label if self.answer == "number" else self.class_names[label]

    def _cell(self, value: object) -> object:
        return cells.safe(value, raw=self.raw) if isinstance(value, str) else value

    def _id(self, answer: Answer) -> str | int:
        return answer.number if self.ids == "number" else id_of(answer.name, self.ids)


def check_header(header: Sequence[str]) -> None:
    """Refuses a competition's header that has no single column for all labels.

    Raises:
      UsageError: There are more than two columns.
    """
    if len(header) > 2:
        raise UsageError(
            f"--header must name the id and one column for all labels of a picture, as id,labels, "
            f"got {','.join(header)}"
        )


class SetTally:
    """Counts answers, and scores those of pictures whose labels are known."""

    def __init__(self, thresholds: Sequence[float], labels: np.ndarray | None, listed: int):
        """Begins to count.

        Args:
          thresholds: Of each class.
          labels: `[N, classes]`, if they are known.
          listed: How many errors to keep.
        """
        self.good = self.bad = 0
        self.rejected = 0  # which is for one label a picture
        self.errors: list[str] = []  # the first ones
        self._thresholds, self._labels, self._listed = thresholds, labels, listed
        self._numbers: list[int] = []
        self._probabilities: list[np.ndarray] = []

    def add(self, one: Answer) -> None:
        """Counts an answer."""
        if one.error:
            self.bad += 1
            if len(self.errors) < self._listed:
                self.errors.append(one.error)
            return
        self.good += 1
        if self._labels is None:
            return
        row = np.empty(len(self._thresholds))
        row[list(one.guesses)] = one.probabilities
        self._numbers.append(one.number)
        self._probabilities.append(row)

    @property
    def labelled(self) -> int:
        """How many answers are of pictures whose labels are known."""
        return len(self._numbers)

    def plain(self) -> dict[str, Any]:
        """The counts as plain JSON, with scores over the readable pictures that have labels."""
        counts = {"num_examples": self.good, "num_bad": self.bad, "num_labelled": self.labelled}
        found = self._scores()
        if not found:
            return counts
        names = ("mean_average_precision", "micro_f1", "macro_f1", "exact_match")
        return counts | {name: getattr(found, name) for name in names}

    def words(self) -> str:
        """The scores in words; nothing where no labels are known."""
        found = self._scores()
        return found.words if found else ""

    def _scores(self) -> multilabel.MultilabelScores | None:
        if self._labels is None or not self._numbers:
            return None
        labels = self._labels[self._numbers]
        return multilabel.scores(labels, np.stack(self._probabilities), 0.0, self._thresholds)
