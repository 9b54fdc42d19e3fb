"""What a run folder tells without its model: settings, metrics and checkpoints."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw2.config import flagfile
from hw2.config.settings import FIELDS
from hw2.errors import RunError
from hw2.runs import checkpoints, disk
from hw2.runs import folder as run_folder
from hw2.runs.folder import RunFolder
from hw2.training.plateau import Plateau, replay

COLUMNS = (
    "loss",
    "accuracy",
    "learning_rate",
    "examples_per_second",
    "val_loss",
    "val_top1",
    "val_balanced_accuracy",
    "val_macro_f1",
    "val_micro_f1",
    "val_mean_average_precision",
    "val_accuracy",
)


@dataclasses.dataclass(frozen=True)
class Record:
    """The present content of a run folder.

    Attributes:
      path: The folder.
      flags: The value of every setting by name, as text.
      class_names: The classes, in the order of the logits.
      rows: The rows of `metrics.csv`; nan where there is nothing.
      saved: The steps of the checkpoints that exist.
      best_step: The step of the best validation score so far, by `--best_by`, on the images that
        the run trains on now; None before an evaluation.
      halvings: The steps at which the rate was halved because that score did not improve.
      restarts: The steps at which the run continued on other images, by `--accept_new_data`.
    """

    path: Path
    flags: Mapping[str, str]
    class_names: Sequence[str]
    rows: Sequence[Mapping[str, float]]
    saved: Sequence[int]
    best_step: int | None
    halvings: Sequence[int]
    restarts: Sequence[int]

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.path.resolve().name

    @property
    def step(self) -> int:
        """The last step with metrics."""
        return int(self.rows[-1]["step"]) if self.rows else 0

    @property
    def present_rows(self) -> list[Mapping[str, float]]:
        """The rows since the run continued on other images; all if it never did."""
        since = max(self.restarts, default=0)
        return [row for row in self.rows if row["step"] > since]

    def series(self, column: str) -> tuple[list[float], list[float]]:
        """Returns the steps and the values of a column, where it has values."""
        every = ((row["step"], row.get(column, math.nan)) for row in self.rows)
        points = [(step, value) for step, value in every if math.isfinite(value)]
        return [step for step, _ in points], [value for _, value in points]


def read(path: Path) -> Record:
    """Reads what exists; a missing file counts as empty, and what is damaged in one is left out.

    Raises:
      RunError: A setting that the page computes with is no number.
    """
    flags: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        flags = flagfile.values(path / run_folder.FLAGS)
    rows = _rows(path / "metrics.csv")
    saved = checkpoints.listing(path / "checkpoints")
    restarts = _restarts(path, saved)
    plateau = Plateau(*(_whole(path, flags, name) for name in ("halve_after", "stop_after")))
    best_by = flags.get("best_by", "top1")
    sign = -1 if best_by == "loss" else 1
    evaluations = ((int(row["step"]), sign * row.get(f"val_{best_by}", math.nan)) for row in rows)
    halvings = replay(plateau, (pair for pair in evaluations if math.isfinite(pair[1])), restarts)
    return Record(
        path,
        flags,
        _lines(path / "class_names.txt"),
        rows,
        [checkpoints.step_of(found) for found in saved],
        None if plateau.best is None else plateau.best_step,
        halvings,
        restarts,
    )


def _whole(path: Path, flags: Mapping[str, str], name: str) -> int:
    text = flags.get(name, str(FIELDS[name].default))
    try:
        return int(text)
    except ValueError as error:
        raise RunError(
            f"damaged setting in {path / run_folder.FLAGS} - --{name} must be a whole number, got "
            f"{text[:60]!r}; write the number that the training had"
        ) from error


def _restarts(path: Path, saved: Sequence[Path]) -> list[int]:
    """Lists the steps at which the run continued on other images, each of which kept a split.

    A training that was stopped before its first checkpoint on other images has kept a split too;
    the newest readable checkpoint tells that it does not count.
    """
    kept = run_folder.kept_splits(RunFolder(path))
    for checkpoint in reversed(saved):
        with contextlib.suppress(OSError, ValueError, KeyError):
            since = disk.read_json(checkpoint / checkpoints.STATE)["data_since"]
            return [step for step in kept if step <= since]
    return kept


def _lines(file: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return file.read_text("utf-8", "replace").splitlines()
    return []


def _rows(file: Path) -> list[dict[str, float]]:
    rows = []
    with (
        contextlib.suppress(FileNotFoundError, csv.Error),
        file.open(newline="", encoding="utf-8", errors="replace") as lines,
    ):
        whole = (line for line in lines if line.endswith("\n"))  # a training may be writing one
        for row in csv.DictReader(whole):
            with contextlib.suppress(KeyError, TypeError, ValueError):
                values = {name: float(row[name] or "nan") for name in COLUMNS if name in row}
                rows.append({"step": int(row["step"]), **values})
    return rows
