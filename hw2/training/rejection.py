"""Rejection: a model that gives no answer where its confidence is below a threshold.

A confidence is the largest probability, or the negative of the distance of the features to the
nearest class, `hw2.training.mahalanobis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

MOST = 1000  # rows of a curve
FARTHEST = float(np.finfo(np.float32).max)  # a distance that none exceeds, which JSON can hold


class Choice(NamedTuple):
    """A threshold, how many images are accepted with it, and how many of these are wrong."""

    threshold: float
    accepted: int
    wrong: int

    @property
    def error(self) -> float:
        """The share of wrong answers among the accepted images."""
        return self.wrong / self.accepted


def rejected(confidence: np.ndarray, threshold: float) -> np.ndarray:
    """Tells which images get no answer.

    Args:
      confidence: `[N]`, the confidence of each image.
      threshold: An image with less than this is rejected.

    Returns:
      `[N]` booleans.
    """
    return np.asarray(confidence, np.float64) < threshold


def curve(
    confidence: np.ndarray, right: np.ndarray, most: int = MOST, *, lowest: float = 0.0
) -> list[Choice]:
    """Lists what each threshold accepts, from the highest one to the lowest, which accepts all.

    A threshold is halfway between the confidences of two images, so that rounding does not
    matter. Images of the same confidence are accepted or rejected together.

    Args:
      confidence: `[N]`, the confidence of each image, N at least 1.
      right: `[N]` booleans, whether each prediction is correct.
      most: With more thresholds than this, that many are listed, at even distances.
      lowest: No confidence is below it: 0 for probabilities, -`FARTHEST` for distances.

    Source: El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification",
    JMLR 11, 2010.
    """
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order].astype(np.float64)
    wrong = np.cumsum(~right[order])
    last = np.flatnonzero(sorted_confidence[:-1] > sorted_confidence[1:])  # accepted by a threshold
    halfway = (sorted_confidence[last] + sorted_confidence[last + 1]) / 2
    thresholds, last = np.append(halfway, lowest), np.append(last, len(order) - 1)
    if len(last) > most:
        kept = np.unique(np.linspace(0, len(last) - 1, most).round().astype(int))
        thresholds, last = thresholds[kept], last[kept]
    return [
        Choice(float(threshold), int(place) + 1, int(wrong[place]))
        for threshold, place in zip(thresholds, last, strict=True)
    ]


def for_error(choices: Sequence[Choice], largest: float) -> Choice | None:
    """Chooses the threshold that accepts most, with at most this share of them wrong.

    Args:
      choices: What `curve` lists.
      largest: The largest share of wrong answers, in [0, 1].

    Returns:
      None if every threshold accepts too many wrong answers.
    """
    good = [choice for choice in choices if choice.wrong <= largest * choice.accepted]
    return max(good, key=lambda choice: choice.accepted, default=None)


def for_coverage(choices: Sequence[Choice], least: float) -> Choice:
    """Chooses the highest threshold that accepts at least this share, in [0, 1], of all images."""
    count = choices[-1].accepted
    return next(choice for choice in choices if choice.accepted >= least * count)


def auroc(known: np.ndarray, unknown: np.ndarray) -> float:
    """Computes the area under the ROC curve of telling known images from unknown ones.

    It is the probability that a known image has a higher confidence than an unknown one: 1 if all
    do, 0.5 for chance.

    Args:
      known: `[N]`, the confidence of images of the model's classes.
      unknown: `[M]`, the confidence of images of none of them.

    Source: Hendrycks and Gimpel, "A Baseline for Detecting Misclassified and Out-of-Distribution
    Examples in Neural Networks", 2017, arxiv.org/abs/1610.02136.
    """
    return float(roc_auc_score(*_labelled(known, unknown)))


def roc(known: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Computes the ROC curve of telling known images from unknown ones.

    Args:
      known: `[N]`, the confidence of images of the model's classes.
      unknown: `[M]`, the confidence of images of none of them.

    Returns:
      The shares of unknown and of known images that a threshold accepts, from the highest
      threshold to the lowest.
    """
    false, true, _ = roc_curve(*_labelled(known, unknown))
    return false, true


def accepted_at_95(known: np.ndarray, unknown: np.ndarray) -> float:
    """Computes the share of unknown images accepted where 95 % of the known ones are (FPR95).

    Source: Liang et al., "Enhancing The Reliability of Out-of-distribution Image Detection in
    Neural Networks", 2018, arxiv.org/abs/1706.02690.
    """
    false, true, _ = roc_curve(*_labelled(known, unknown), drop_intermediate=False)
    return float(false[true >= 0.95].min())


def _labelled(known: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """1 for known and 0 for unknown images, and their confidences."""
    labels = np.repeat([1, 0], [len(known), len(unknown)])
    return labels, np.concatenate([known, unknown])
