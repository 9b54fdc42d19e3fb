"""What happens between steps: checks, evaluation, logs."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hw2.errors import NotFinite
from hw2.training.loop import Hook, Run
from hw2.training.metrics import Scores
from hw2.training.schedules import Plateau

COLUMNS = (
    "step",
    "loss",
    "accuracy",
    "learning_rate",
    "examples_per_second",
    "seconds_per_batch",
    "val_loss",
    "val_top1",
)


def stop_on_nan(run: Run) -> None:
    """Ends training at a loss that is not finite, before anything of it is saved.

    Raises:
      NotFinite: With the step.
    """
    loss = run.metrics["loss"]
    if not math.isfinite(loss):
        raise NotFinite(
            f"loss is {loss} in step {run.step} - the weights have diverged; lower --learning_rate"
            f" (it was {run.rate:g}), the checkpoints before this step are good"
        )


def evaluation(evaluate: Callable[[], Scores], plateau: Plateau) -> Hook:
    """Evaluates, and lets the plateau rule change the rate or end the training."""

    def call(run: Run) -> None:
        run.validation = evaluate()
        plateau.update(run.validation.top1, run.step)
        if plateau.exhausted:
            run.stop(f"no gain over {plateau.without_gain} evaluations")

    return call


class Logger:
    """Means since the last row: to the terminal, `metrics.csv` and TensorBoard.

    A row comes at every `frequency`-th step and at each evaluation. On a terminal a live bar
    shows it, elsewhere plain lines do.
    """

    def __init__(
        self, folder: Path, *, frequency: int, batch_size: int, start: int, console: Console
    ):
        """Opens the logs in `folder`, and drops rows that a killed run wrote past `start`."""
        self._frequency, self._batch_size, self._console = frequency, batch_size, console
        self._file = folder / "metrics.csv"
        _keep_rows(self._file, start)
        self._writer = _tensorboard(folder / "tensorboard")
        self._losses: list[float] = []
        self._accuracies: list[float] = []
        self._seconds: list[float] = []
        self._bar = Progress(
            TextColumn("step {task.completed}/{task.total}"),
            BarColumn(None),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, completed=start)

    def __enter__(self) -> Logger:
        self._bar.start()
        return self

    def __exit__(self, *exception) -> None:
        self._bar.stop()
        if self._writer:
            self._writer.close()

    def __call__(self, run: Run) -> None:
        """Takes this step's values, and writes a row when one is due."""
        self._losses.append(run.metrics["loss"])
        self._accuracies.append(run.metrics["accuracy"])
        self._seconds.append(run.seconds)
        self._bar.update(self._task, completed=run.step, total=run.last_step)
        if run.step % self._frequency and not run.validation and run.step != run.last_step:
            return
        row = self._row(run)
        with self._file.open("a", newline="") as file:
            csv.writer(file).writerow(["" if value is None else value for value in row.values()])
        if self._writer:
            _write(self._writer, run.step, {n: v for n, v in row.items() if n != "step"})
        self._show(run, row)

    def _row(self, run: Run) -> dict[str, float | None]:
        seconds = _mean(self._seconds)
        values = (
            run.step,
            _mean(self._losses),
            _mean(self._accuracies),
            run.rate,
            round(self._batch_size / seconds, 1),
            round(seconds, 5),
            run.validation and run.validation.loss,
            run.validation and run.validation.top1,
        )
        self._losses, self._accuracies, self._seconds = [], [], []
        return dict(zip(COLUMNS, values, strict=True))

    def _show(self, run: Run, row: dict[str, float | None]) -> None:
        line = (
            f"loss {row['loss']:.4f}  accuracy {row['accuracy']:.3f}  "
            f"{row['examples_per_second']:.0f} examples/s  {row['seconds_per_batch']:.3f} s/batch"
            f"  rate {row['learning_rate']:.2g}"
        )
        self._bar.update(self._task, description=line)
        if run.validation:
            scores = run.validation
            line += f"\n  validation: top-1 {scores.top1:.4f}, loss {scores.loss:.4f} (averaged)"
        if run.validation or not self._console.is_terminal:
            self._console.print(
                f"step {run.step}/{run.last_step}  {line}", highlight=False, soft_wrap=True
            )


def write_scalars(folder: Path, step: int, values: dict[str, float]) -> None:
    """Adds values at one step to the TensorBoard events of a folder."""
    writer = _tensorboard(folder)
    if writer:
        _write(writer, step, values)
        writer.close()


def _write(writer: tf.summary.SummaryWriter, step: int, values: dict[str, float | None]) -> None:
    with writer.as_default(step=step):
        for name, value in values.items():
            if value is not None:
                tf.summary.scalar(name, value)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _keep_rows(file: Path, start: int) -> None:
    rows = [list(COLUMNS)]
    if file.exists():
        with file.open(newline="") as old:
            rows += [row for row in list(csv.reader(old))[1:] if int(row[0]) <= start]
    with file.open("w", newline="") as new:
        csv.writer(new).writerows(rows)


def _tensorboard(folder: Path) -> tf.summary.SummaryWriter | None:
    try:
        import tensorboard  # noqa: F401  TensorFlow no longer brings it
    except ImportError:
        return None
    return tf.summary.create_file_writer(str(folder))
