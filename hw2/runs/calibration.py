"""The calibration of a run, `calibration.json`: a temperature, and what thresholds accept.

It belongs to one checkpoint, by its step and the hash of its tensors, and to its averaged or its
raw weights. It was fitted to answers with the test-time augmentation that it names.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from hw2.errors import RunError, writing
from hw2.runs import atomic, disk
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import CALIBRATION, RunFolder

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What was fitted to the held-out images of a run.

    Attributes:
      step: The step of the checkpoint.
      digest: SHA-256 of its tensors.
      weights: Which of them, "ema" or "raw".
      temperature: By which logits are divided.
      num_examples: How many held-out images there were.
      loss_before: Mean negative log-likelihood of their labels at temperature 1, in nats.
      loss_after: The same at `temperature`.
      ece_before: Expected calibration error at temperature 1.
      ece_after: The same at `temperature`.
      curve: Threshold, number of images accepted and number of these that are wrong, from the
        highest threshold to 0.
      tta: The test-time augmentation of the answers.
    """

    step: int
    digest: str
    weights: str
    temperature: float
    num_examples: int
    loss_before: float
    loss_after: float
    ece_before: float
    ece_after: float
    curve: tuple[tuple[float, int, int], ...]
    tta: str = "none"  # which older files do not say

    def fits(self, checkpoint: Checkpoint, weights: str) -> bool:
        """Whether it belongs to these weights of a checkpoint."""
        own = (self.step, self.digest, self.weights)
        return own == (checkpoint.step, checkpoint.digest, weights)


def write(folder: RunFolder, calibration: Calibration) -> Path:
    """Writes the calibration of a run, in place of an earlier one.

    Raises:
      RunError: The disk refuses.
    """
    path = folder.path / CALIBRATION
    content = {"format": FORMAT} | dataclasses.asdict(calibration)
    with writing(path, "make room or repair the folder; hw2 calibrate RUN writes it again"):
        atomic.write(path, disk.json_bytes(content))
    return path


def read(folder: RunFolder) -> Calibration | None:
    """Reads the calibration of a run; None if it has none.

    Raises:
      RunError: The file cannot be read, or is no calibration.
    """
    path = folder.path / CALIBRATION
    try:
        content = disk.read_json(path)
        if content.pop("format", None) != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}")
        rows = content.pop("curve")
        found = Calibration(**content, curve=tuple((float(t), int(a), int(w)) for t, a, w in rows))
        _check(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise RunError(
            f"bad calibration in {path} - {error}; remove it, and hw2 calibrate RUN writes it again"
        ) from error
    return found


def _check(found: Calibration) -> None:
    """Raises a `ValueError` if a number cannot be."""
    if not (math.isfinite(found.temperature) and found.temperature > 0):
        raise ValueError(f"the temperature must be above 0, is {found.temperature}")
    check_curve(found.curve, found.num_examples)


def check_curve(curve: Sequence[Sequence[float]], num_examples: int) -> None:
    """Checks the counts of a curve, of which the last threshold accepts all images.

    Args:
      curve: Threshold, number of images accepted and number of these that are wrong, for each.
      num_examples: How many images it is of.

    Raises:
      ValueError: There cannot be such a curve.
    """
    accepted = [count for _, count, _ in curve]
    counts_fit = accepted == sorted(accepted) and accepted[-1:] == [num_examples]
    if not counts_fit or any(not 0 <= wrong <= count for _, count, wrong in curve):
        raise ValueError("the counts of its curve do not fit together")
