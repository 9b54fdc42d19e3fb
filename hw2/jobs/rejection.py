"""Which pictures get no answer: by which score, and from which threshold on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config.rules import rejection_of
from hw2.config.settings import Config
from hw2.errors import RunError, UsageError
from hw2.jobs import distance, multilabel
from hw2.runs.calibration import Calibration
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.distance import Distance
from hw2.training import rejection
from hw2.training.rejection import Choice


@dataclasses.dataclass(frozen=True)
class Rejection:
    """How the pictures of a command are rejected.

    Attributes:
      distance: The distances of the run, if they are the score; else it is the largest
        probability.
      choice: The threshold of the confidence; None where no picture is to be rejected. The
        confidence is the largest probability, or the negative of the distance.
    """

    distance: Distance | None
    choice: Choice | None

    @property
    def threshold(self) -> float:
        """Of the confidence: what has less is rejected."""
        return self.choice.threshold if self.choice else -rejection.FARTHEST

    @property
    def of_score(self) -> float:
        """The threshold in the units of the score, a probability or a distance."""
        return -self.threshold if self.distance else self.threshold

    def plain(self) -> dict[str, float | str]:
        """The score and the threshold as plain JSON; nothing where none is asked for."""
        found: dict[str, float | str] = {"reject_by": "distance"} if self.distance else {}
        if self.choice:
            found["reject_above" if self.distance else "reject_below"] = self.of_score
        return found


def of(
    config: Config,
    checkpoint: Checkpoint,
    tensors: Mapping[str, np.ndarray],
    calibrated: Calibration | None,
    out: Console,
) -> Rejection:
    """What `--reject_by` and `--reject_below` ask for.

    Args:
      config: The settings.
      checkpoint: The checkpoint whose model answers.
      tensors: Its tensors by name.
      calibrated: Its calibration, by which a threshold of the probability is chosen.
      out: Where people read.

    Raises:
      UsageError: No threshold has so small an error, or the pictures have several labels.
      RunError: A threshold is to be chosen and the checkpoint has no calibration of the same
        test-time augmentation, or it can have no distances.
      DataError: Distances are to be fitted, and the training data cannot be read.
    """
    text = config.reject_below
    multilabel.check_rejection(config, checkpoint)
    if config.reject_by == "distance":
        found = distance.of(config, checkpoint, tensors, out)
        curve = [Choice(float(t), int(accepted), int(wrong)) for t, accepted, wrong in found.curve]
        return Rejection(found, choice(text, curve, checkpoint))
    curve = _calibrated(config, checkpoint, calibrated) if ":" in text else []
    return Rejection(None, choice(text, curve, checkpoint))


def in_words(found: Mapping[str, Any]) -> str:
    """Which pictures are rejected, from what `Rejection.plain` gives."""
    if "reject_above" in found:
        return f"farther than {found['reject_above']:.4g} from every class"
    return f"below {found['reject_below']:.4g}"


def choice(text: str, curve: list[Choice], checkpoint: Checkpoint) -> Choice | None:
    """The threshold that `--reject_below` names or asks for.

    Args:
      text: A probability, "error:0.01" for the threshold that accepts most of the held-out images
        with at most this share of the accepted ones wrong, "coverage:0.9" for the highest that
        accepts at least this share of them, or "" to reject nothing.
      curve: What each threshold accepts of the held-out images.
      checkpoint: The checkpoint, for messages.

    Returns:
      The threshold, with what it accepts of the held-out images; 0 accepted where that is not
      known. None for an empty text.

    Raises:
      UsageError: No threshold has so small an error.
    """
    asked = rejection_of(text)
    if asked is None:
        return None
    by, value = asked
    if by == "below":
        return Choice(value, 0, 0)
    if by == "coverage":
        return rejection.for_coverage(curve, value)
    chosen = rejection.for_error(curve, value)
    if chosen is None:
        least = min(choice.error for choice in curve)
        raise UsageError(
            f"--reject_below={text} cannot be kept on the {curve[-1].accepted:,} validation "
            f"pictures of {checkpoint.path}, the smallest error of any threshold is {least:.4f}; "
            "give a larger one"
        )
    return chosen


def _calibrated(
    config: Config, checkpoint: Checkpoint, calibrated: Calibration | None
) -> list[Choice]:
    """What each threshold of the probability accepts."""
    flag = f"--tta={config.tta}"
    if calibrated is None or calibrated.tta != config.tta:
        which = "calibration" if calibrated is None else f"calibration with {flag}"
        more = "" if config.tta == "none" and calibrated is None else f" {flag}"
        raise RunError(
            f"no {which} of {checkpoint.path} - --reject_below={config.reject_below} is chosen by "
            f"it; hw2 calibrate RUN{more} makes one, with the same --checkpoint and --weights, or "
            "give a probability such as --reject_below=0.8"
        )
    return [Choice(*row) for row in calibrated.curve]
