"""Reads the curves of a training, and says in plain words what they show and what to try."""

from __future__ import annotations

import csv
import dataclasses
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hw2.errors import RunError

# Fractions of images classified correctly. Differences below these cannot be seen in curves.
GAP = 0.1  # training above validation
LOW = 0.7  # at most
GAIN = 0.005  # of validation, from a quarter of the evaluations to the next
JUMP = 0.05  # from one evaluation to the next, up and down
LOSS_FELL = 0.1  # of where it began: less is next to nothing
LOSS_ROSE = 0.1  # of its lowest
LOSS_LEAST = 0.01  # nats: less of a rise is not worth words

STEADY = 0.7  # correlation of validation with the step: what rises, and does not only jump

FEWEST = 3  # evaluations
REGULARIZE = (
    "more images, more augmentation (--rotation, --shift, --scale, --rand_augment, --erasing), "
    "--label_smoothing=0.1, a larger --l2 (or --weight_decay with adamw or sgd), a smaller "
    "--model, or to start from trained weights (--init_from, --pretrained)"
)
STRENGTHEN = (
    "a larger --model or --image_size, a rate found by --find_rate, a smaller --l2, weaker "
    "augmentation (--brightness, --rand_augment), and more --max_steps or --epochs"
)


@dataclasses.dataclass(frozen=True)
class Point:
    """An evaluation, and the mean of the training since the previous one.

    Attributes:
      step: The step of the evaluation.
      loss: The training loss, penalty included; nan if no step was taken since.
      accuracy: The training accuracy on augmented images; nan likewise.
      val_loss: The validation loss with averaged weights.
      val_top1: The validation accuracy with averaged weights. It is top-1 or, where images have
        several labels, the accuracy of `hw2.training.multilabel`; so is that of the training.
    """

    step: int
    loss: float
    accuracy: float
    val_loss: float
    val_top1: float


def diagnose(rows: Iterable[Mapping[str, Any]], best_step: int | None = None) -> list[str]:
    """Says what the curves of a training show.

    Args:
      rows: The rows of `metrics.csv`, in order of steps, as `csv.DictReader` gives them or as
        numbers: "step", "loss", "accuracy", and where there was an evaluation "val_loss" and
        "val_top1", or "val_accuracy" (else "" or None).
      best_step: The step of the best checkpoint, if it is known: the disk may have refused the
        one of the best evaluation.

    Returns:
      Sentences. The first begins with the verdict and a colon: overfit, underfit, not learning,
      still rising, healthy or too short. The others point out anything else unusual.
    """
    points = points_of(rows)
    if len(points) < FEWEST:
        return [
            f"too short: {_count(len(points), 'evaluation')} so far, and a verdict needs {FEWEST}; "
            "lower --save_checkpoint_steps, or train longer"
        ]
    return [_verdict(points), *_besides(points, best_step)]


def points_of(rows: Iterable[Mapping[str, Any]]) -> list[Point]:
    """Returns the evaluations among the rows."""
    points: list[Point] = []
    since: list[tuple[float, float, float]] = []
    begun = 0.0
    for row in rows:
        step, loss, accuracy, val_loss, val_top1 = (
            _number(row.get(name)) for name in ("step", "loss", "accuracy", "val_loss", "val_top1")
        )
        if math.isnan(val_top1):  # of several labels an image
            val_top1 = _number(row.get("val_accuracy"))
        since.append((step - begun, loss, accuracy))
        begun = step
        if math.isfinite(val_top1):
            known = [(n, *values) for n, *values in since if n > 0 and math.isfinite(values[1])]
            steps = math.fsum(n for n, *_ in known)
            mean_loss, mean_accuracy = (
                math.fsum(row[0] * row[i] for row in known) / steps if steps else math.nan
                for i in (1, 2)
            )
            points.append(Point(int(step), mean_loss, mean_accuracy, val_loss, val_top1))
            since = []
    return points


def diagnose_file(file: Path, best_step: int | None = None) -> list[str]:
    """Says what the curves in a `metrics.csv` show; see `diagnose`.

    Raises:
      RunError: There is none, or it is something else.
    """
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
            return diagnose(rows, best_step)
    except (OSError, ValueError, csv.Error) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise RunError(
            f"no curves in {file} - {why}; give the run folder of a training (its --log_path)"
        ) from error


def _verdict(points: Sequence[Point]) -> str:
    late, before = _late(points), _before(points)
    train, validation = _mean(late, "accuracy"), _mean(late, "val_top1")
    figures = f"training {train:.3f}, validation {validation:.3f}"
    gap, gain = train - validation, validation - _mean(before, "val_top1")
    low = max(train, validation) < LOW
    if low and _fell(points) < LOSS_FELL and validation - points[0].val_top1 < JUMP:
        return (
            f"not learning: the training loss has hardly changed ({figures}); try the rate that "
            "--find_rate finds, and whether the model can learn one batch (--overfit_batches=1); "
            "if not, look at the labels"
        )
    if gain > GAIN and _best(points) in late and _steadiness(points) > STEADY:
        sooner = f", with a gap of {gap:.2f} that will need more augmentation" * (gap > GAP)
        return (
            f"still rising: validation recently gained {gain:.3f} ({figures}{sooner}); try more "
            "--max_steps or --epochs"
        )
    if gap > GAP:
        trend = "falls" if gain < -GAIN else "no longer rises"
        return (
            f"overfit: training is {gap:.2f} above validation, which {trend} ({figures}); try "
            f"{REGULARIZE}"
        )
    if low:
        return (
            f"underfit: training and validation are low and have levelled off ({figures}); try "
            f"{STRENGTHEN}"
        )
    return (
        f"healthy: training and validation are close and have levelled off ({figures}); "
        "to improve, try a larger --model together with more augmentation, or more images"
    )


def _besides(points: Sequence[Point], best_step: int | None) -> list[str]:
    late, best = _late(points), _best(points)
    train, validation = _mean(late, "accuracy"), _mean(late, "val_top1")
    words = []
    lowest = min(points, key=lambda point: point.val_loss)
    last = _mean(late, "val_loss")
    rise = last - lowest.val_loss
    if lowest not in late and rise > max(LOSS_ROSE * lowest.val_loss, LOSS_LEAST):
        words.append(
            f"the validation loss has risen since step {lowest.step}, from {lowest.val_loss:.3f} "
            f"to {last:.3f}: the model becomes too confident in its mistakes; "
            "--label_smoothing helps, and --checkpoint=best is an earlier step"
        )
    if best not in late and best.val_top1 - validation > 2 * GAIN:
        used = f"; eval.py and predict.py use step {best_step}" if best_step is not None else ""
        if best_step == best.step:
            used = ", and its checkpoint is kept: eval.py and predict.py use it"
        words.append(f"the best top-1 was that of step {best.step} with {best.val_top1:.3f}{used}")
    later = points[len(points) // 2 :]
    turns = [
        min(abs(b.val_top1 - a.val_top1), abs(c.val_top1 - b.val_top1))
        for a, b, c in zip(later, later[1:], later[2:], strict=False)
        if (b.val_top1 - a.val_top1) * (c.val_top1 - b.val_top1) < 0
    ]
    if len([turn for turn in turns if turn > JUMP]) >= 2:
        words.append(
            "validation jumps up and down: try a lower --learning_rate or --schedule=cosine, a "
            "larger --batch_size, or a larger --validation_fraction"
        )
    if validation - train > JUMP:
        words.append(
            "validation is above training, as is usual with augmentation and dropout, which only "
            "training has"
        )
    return words


def _late(points: Sequence[Point]) -> Sequence[Point]:
    """The last quarter of the evaluations."""
    return points[-max(1, len(points) // 4) :]


def _before(points: Sequence[Point]) -> Sequence[Point]:
    """As many evaluations before the last quarter."""
    width = len(_late(points))
    return points[-2 * width : -width]


def _best(points: Sequence[Point]) -> Point:
    """The evaluation with the highest accuracy, the earliest if several have it."""
    return max(points, key=lambda point: point.val_top1)


def _fell(points: Sequence[Point]) -> float:
    """The fraction by which the training loss has fallen."""
    losses = [point.loss for point in points if math.isfinite(point.loss)]
    return 1 - losses[-1] / losses[0] if losses and losses[0] else math.inf


def _steadiness(points: Sequence[Point]) -> float:
    """Correlation of the step and the validation accuracy, in the later half; 1 for two points."""
    half = points[len(points) // 2 :]
    try:
        return statistics.correlation([p.step for p in half], [p.val_top1 for p in half])
    except statistics.StatisticsError:  # all the same
        return 0.0


def _mean(points: Sequence[Point], name: str) -> float:
    return math.fsum(getattr(point, name) for point in points) / len(points)


def _number(value: Any) -> float:
    return math.nan if value in ("", None) else float(value)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)
