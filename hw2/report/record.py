"""What a run folder tells without a model: settings, rows of figures, checkpoints."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw2.runs import checkpoints
from hw2.training.schedules import Plateau

COLUMNS = (
    "loss",
    "accuracy",
    "learning_rate",
    "examples_per_second",
    "val_loss",
    "val_top1",
)


@dataclasses.dataclass(frozen=True)
class Record:
    """A run as its folder has it at this moment.

    Attributes:
      path: Of the folder.
      flags: Name and value of every setting, as text.
      class_names: In the order of the logits.
      rows: Of `metrics.csv`; nan where there is nothing.
      saved: Steps of the checkpoints that are kept.
      best_step: Of the highest validation accuracy so far; None before an evaluation.
      halvings: Steps after which the rate was halved for want of gain.
    """

    path: Path
    flags: Mapping[str, str]
    class_names: Sequence[str]
    rows: Sequence[Mapping[str, float]]
    saved: Sequence[int]
    best_step: int | None
    halvings: Sequence[int]

    @property
    def name(self) -> str:
        """What the run is called."""
        return self.path.resolve().name

    @property
    def step(self) -> int:
        """The last step with figures."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    def series(self, column: str) -> tuple[list[float], list[float]]:
        """Steps and values of a column, where it has any."""
        points = [(row["step"], row[column]) for row in self.rows if math.isfinite(row[column])]
        return [step for step, _ in points], [value for _, value in points]


def read(path: Path) -> Record:
    """Reads what there is; a file that is missing or torn gives nothing."""
    flags = _flags(path / "flags.cfg")
    rows = _rows(path / "metrics.csv")
    plateau = Plateau(int(flags.get("halve_after", 7)), int(flags.get("stop_after", 15)))
    halvings = []
    for row in rows:
        if math.isfinite(row["val_top1"]):
            before = plateau.scale
            plateau.update(row["val_top1"], int(row["step"]))
            if plateau.scale < before:
                halvings.append(int(row["step"]))
    return Record(
        path,
        flags,
        _lines(path / "class_names.txt"),
        rows,
        [checkpoints.step_of(found) for found in checkpoints.listing(path / "checkpoints")],
        None if plateau.best is None else plateau.best_step,
        halvings,
    )


def _flags(file: Path) -> dict[str, str]:
    pairs = (line[2:].partition("=") for line in _lines(file) if line.startswith("--"))
    return {name: value for name, _, value in pairs}


def _lines(file: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return file.read_text("utf-8", "replace").splitlines()
    return []


def _rows(file: Path) -> list[dict[str, float]]:
    rows = []
    with contextlib.suppress(FileNotFoundError), file.open(newline="", encoding="utf-8") as lines:
        whole = (line for line in lines if line.endswith("\n"))  # a training may be writing one
        for row in csv.DictReader(whole):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                values = {name: float(row[name] or "nan") for name in COLUMNS}
                rows.append({"step": int(row["step"]), **values})
    return rows
