"""Logs the metrics of training to the terminal, `metrics.csv`, TensorBoard and a tracker."""

from __future__ import annotations

import csv
import io
import math
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hw2.errors import RunError, writing
from hw2.runs import atomic
from hw2.training.events import Events
from hw2.training.loop import Run
from hw2.training.trackers import Tracker

SCORES = ("val_loss", "val_top1", "val_balanced_accuracy", "val_macro_f1")  # of `Scores`
OF_TRAINING = (
    "step",
    "loss",
    "accuracy",
    "learning_rate",
    "examples_per_second",
    "seconds_per_batch",
    "share_waiting",
)
COLUMNS = (*OF_TRAINING, *SCORES)
WIDE = 80  # columns that hold the speed too


class Logger:
    """A hook that logs means since the last row, at every `frequency`-th step and evaluation.

    A terminal shows them in a live bar, a file in plain lines; evaluations are lines on both.
    """

    def __init__(
        self,
        folder: Path,
        run: Run,
        *,
        frequency: int,
        batch_size: int,
        out: Console,
        unlogged: Sequence[tuple[float, float]] = (),
        events: Events | None = None,
        tracker: Tracker | None = None,
        stop_on_error: bool = True,
        scores: Sequence[str] = SCORES,
    ):
        """Opens the logs, and drops rows that a killed process wrote after the step of `run`.

        Args:
          folder: The run folder.
          run: Where training begins.
          frequency: Steps between rows.
          batch_size: Examples in a step.
          out: The console for lines and the bar.
          unlogged: Loss and accuracy of each step since the last row of a run that is resumed.
          events: TensorBoard events, if they are wanted; closed with the logs.
          tracker: Likewise.
          stop_on_error: Whether a disk that refuses a row ends the training; if not, the row is
            written with the next one.
          scores: The columns of an evaluation.

        Raises:
          RunError: The folder cannot be written.
        """
        self._scores = scores
        self._frequency, self._batch_size, self._out = frequency, batch_size, out
        self._first = run.step + 1
        self._file = folder / "metrics.csv"
        columns, last = (*OF_TRAINING, *scores), run.step - run.hooks_due
        _keep_rows(self._file, last, columns)  # a step whose hooks are due logs again
        self._events, self._tracker = events, tracker
        self._stop_on_error = stop_on_error
        self._waiting: list[list] = []  # rows that the disk refused
        self.unlogged: list[tuple[float, float]] = list(unlogged)  # loss, accuracy
        self._seconds: list[tuple[float, float]] = []  # a step, and its wait for data
        self._bar = Progress(
            TextColumn("step {task.completed}/{task.total}"),
            BarColumn(None),
            TextColumn("{task.description}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=out,
            disable=not out.is_interactive,
            expand=True,
            transient=True,
            # A file or a pipe gets what a hook prints; it may be closed.
            redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
        )
        self._task = self._bar.add_task("", total=run.last_step, completed=run.step)

    def __enter__(self) -> Logger:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception) -> None:
        self._bar.stop()
        if self._tracker:
            self._tracker.close(finished=kind is None)
        if self._events:
            self._events.close()

    def __call__(self, run: Run) -> None:
        """Records the metrics of this step, and writes a row if one is due."""
        self.unlogged.append((run.metrics["loss"], run.metrics["accuracy"]))
        if run.step > self._first:  # the first step waits for TensorFlow to trace the graph
            self._seconds.append((run.seconds, run.waited))
        self._bar.update(self._task, completed=run.step)
        if run.step % self._frequency and not run.validation and run.step != run.last_step:
            return
        row = self._row(run)
        self._append(["" if value is None else value for value in row.values()])
        values = {name: value for name, value in row.items() if name != "step"}
        if self._events:
            self._events.scalars(run.step, values)
        if self._tracker:
            self._tracker.scalars(run.step, values)
        self._show(run, row)

    def _append(self, row: list) -> None:
        """Appends a row and those that the disk refused before, all or none."""
        self._waiting.append(row)
        text = io.StringIO(newline="")
        csv.writer(text).writerows(self._waiting)
        try:
            with writing(self._file), self._file.open("ab", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                data = text.getvalue().encode()
                try:
                    while data:
                        data = data[file.write(data) :]
                except OSError:
                    file.truncate(size)
                    raise
        except RunError as error:
            if self._stop_on_error:
                raise
            warnings.warn(f"{error}; this training tries again at its next row", stacklevel=1)
        else:
            self._waiting = []

    def _row(self, run: Run) -> dict[str, float | None]:
        seconds = waiting = None
        if self._seconds:
            total, waited = map(math.fsum, zip(*self._seconds, strict=True))
            seconds, waiting = total / len(self._seconds), waited / total
        loss, accuracy = (math.fsum(v) / len(v) for v in zip(*self.unlogged, strict=True))
        self.unlogged, self._seconds = [], []
        values = (
            run.step,
            loss,
            accuracy,
            run.rate,
            seconds and round(self._batch_size / seconds, 1),
            seconds and round(seconds, 5),
            waiting and round(waiting, 4),
        )
        found = run.validation
        scores = [getattr(found, name.removeprefix("val_"), None) for name in self._scores]
        return dict(zip((*OF_TRAINING, *self._scores), (*values, *scores), strict=True))

    def _show(self, run: Run, row: dict[str, float | None]) -> None:
        learned = f"loss {row['loss']:.4f}  accuracy {row['accuracy']:.3f}"
        speed = ""
        if row["seconds_per_batch"]:
            speed = f"  {row['examples_per_second']:.0f} examples/s"
        self._bar.update(self._task, description=learned + speed * (self._out.width >= WIDE))
        place = f"step {run.step}/{run.last_step}"
        if not self._out.is_interactive:
            if row["seconds_per_batch"]:
                speed += f"  {row['seconds_per_batch']:.3f} s/batch"
                speed += f"  {row['share_waiting']:.0%} waiting for data"
            self._out.print(f"{place}  {learned}{speed}  rate {run.rate:.2g}")
        if run.validation:
            name, value = run.validation.main
            self._out.print(
                f"{place}  validation: {name} {value:.4f}, loss {run.validation.loss:.4f}"
                f"  (averaged weights)"
            )


def _keep_rows(file: Path, last: int, columns: Sequence[str]) -> None:
    """Keeps only the header and the complete rows up to a step; a kill may have cut the last."""
    lines = []
    with writing(file):
        if file.exists():
            with file.open(newline="") as old:
                lines = list(csv.reader(old))
        head, rows = lines[0] if lines else [], lines[1:]
        whole = [row for row in rows if len(row) == len(head) and row[0].isdecimal()]
        named = [dict(zip(head, row, strict=True)) for row in whole if int(row[0]) <= last]
        # Runs of before have fewer columns.
        kept = [list(columns), *([row.get(name, "") for name in columns] for row in named)]
        if kept == lines:
            return
        with atomic.opened(file) as new:
            csv.writer(new).writerows(kept)
