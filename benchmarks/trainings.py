"""A training within a benchmark, its curve, and what several seeds gave."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from hw2.config import settings
from hw2.jobs import train


def trained(folder: Path, flags: Sequence[str]) -> dict:
    """Trains in silence, or finds that it is done; returns what the training says at its end."""
    words = ["hw2", *flags, f"--log_path={folder}"]
    line = io.StringIO()
    with contextlib.redirect_stdout(line), contextlib.redirect_stderr(io.StringIO()):
        train.train(settings.parse(words))
    return json.loads(line.getvalue().splitlines()[-1])


def curve(folder: Path) -> list[tuple[int, float]]:
    """Step and validation accuracy of every evaluation of a run."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val_top1"]]
    return [(int(row["step"]), float(row["val_top1"])) for row in rows]


def last(result: dict) -> float:
    """The validation accuracy of a training at its last step, where nothing is chosen."""
    return curve(Path(result["log_path"]))[-1][1]


def spread(values: Sequence[float]) -> str:
    """Mean and, for more values than one, sample standard deviation, as a table has them."""
    deviation = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{deviation}"
