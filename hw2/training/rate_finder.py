"""The learning rate range test: the loss while the learning rate rises."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hw2.errors import writing

LOWEST, HIGHEST, STEPS = 1e-7, 10.0, 100
SMOOTHING = 0.9  # share of the running mean that one step keeps
SPAN = 10  # steps over which the slope of the loss is measured
DIVERGED = 4.0  # times the lowest running mean, where the search ends


@dataclasses.dataclass(frozen=True)
class Curve:
    """Rates, losses and running means, `[steps]` each; the rate where the loss falls fastest."""

    rates: np.ndarray
    losses: np.ndarray
    means: np.ndarray
    suggestion: float


def search(
    step: Callable[..., dict[str, Any]],
    batches: Iterator[Any],
    *,
    lowest: float = LOWEST,
    highest: float = HIGHEST,
    steps: int = STEPS,
) -> Curve:
    """Takes steps at rates that rise by a constant factor, until the loss diverges.

    Args:
      step: Called as `step(batch, step=, rate=)`; returns "loss", and "finite" as the learner does.
      batches: Batches to train on.
      lowest: The first rate.
      highest: The last rate, unless the loss diverges before.
      steps: The largest number of steps.

    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2015,
    arxiv.org/abs/1506.01186.
    """
    rates, losses, means = [], [], []
    mean = 0.0
    for index in range(steps):
        rate = lowest * (highest / lowest) ** (index / max(steps - 1, 1))
        result = step(next(batches), step=index, rate=rate)
        loss = float(result["loss"])
        if not (math.isfinite(loss) and float(result.get("finite", 1.0))):
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        rates.append(rate)
        losses.append(loss)
        means.append(mean / (1 - SMOOTHING ** (index + 1)))
        if means[-1] > DIVERGED * min(means):
            break
    suggestion = rates[_steepest(np.array(means))] if rates else lowest
    return Curve(np.array(rates), np.array(losses), np.array(means), suggestion)


def _steepest(means: np.ndarray) -> int:
    """Finds the step before the minimum at which the curve falls fastest, over `SPAN` steps.

    It is the minimum itself where too few steps come before it.
    """
    lowest_at = int(np.argmin(means))
    first = len(means) // 10  # before it, the running mean is of too few losses
    if lowest_at < first + SPAN:
        return lowest_at
    falls = means[first + SPAN : lowest_at + 1] - means[first : lowest_at + 1 - SPAN]
    return first + SPAN // 2 + int(np.argmin(falls))


def write(curve: Curve, folder: Path) -> tuple[Path, Path]:
    """Writes `rate_finder.csv` and `rate_finder.png`.

    Raises:
      RunError: The folder cannot be written.
    """
    from matplotlib.figure import Figure  # takes half a second to import, and is rarely used

    table, picture = folder / "rate_finder.csv", folder / "rate_finder.png"
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.plot(curve.rates, curve.losses, alpha=0.4, label="loss")
    axes.plot(curve.rates, curve.means, label="running mean")
    axes.axvline(curve.suggestion, linestyle="--", label=f"steepest: {curve.suggestion:.1e}")
    axes.legend()
    with writing(folder):
        with table.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(("learning_rate", "loss", "running_mean"))
            rows.writerows(
                zip(curve.rates.tolist(), curve.losses.tolist(), curve.means.tolist(), strict=True)
            )
        figure.savefig(picture, dpi=120)
    return table, picture
