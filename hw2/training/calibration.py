"""Temperature scaling: probabilities that are as often right as they say."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, log_softmax, softmax

BINS = 10
LIMITS = (1 / 20, 20.0)  # of the temperature; beyond them a model knows all or nothing


def fit(logits: np.ndarray, labels: np.ndarray, *, binary: bool = False) -> float:
    """Finds the temperature by which to divide logits, so that the labels are most probable.

    Each label has the probability `(N + 1) / (N + 2)` and not 1, as in Platt's method. Otherwise a
    model that is right about all of few images would get probabilities of 1.

    Args:
      logits: `[N, classes]` of images that were not trained on, N at least 1.
      labels: `[N]` integers.
      binary: Whether probabilities are a sigmoid of each logit; else they are a softmax.

    Returns:
      A number above 0 within `LIMITS`. It is above 1 for a model that is too sure. 1 where there
      is nothing to choose: a softmax of one class.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, arxiv.org/abs/1706.04599;
    Platt, "Probabilistic Outputs for Support Vector Machines", 1999, for the labels.
    """
    count, classes = logits.shape
    if classes == 1 and not binary:
        return 1.0
    logits = logits.astype(np.float64)
    left = 1 / (count + 2)
    found = minimize_scalar(
        lambda log_t: _loss(logits / math.exp(log_t), labels, left, binary),
        bounds=[math.log(limit) for limit in LIMITS],
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(math.exp(found.x))


def probabilities(
    logits: np.ndarray, temperature: float = 1.0, *, binary: bool = False
) -> np.ndarray:
    """Maps logits `[N, classes]` to probabilities of the same shape."""
    scaled = logits / np.asarray(temperature, logits.dtype)
    return expit(scaled) if binary else softmax(scaled, axis=1)


def loss(
    logits: np.ndarray, labels: np.ndarray, temperature: float = 1.0, *, binary: bool = False
) -> float:
    """Computes the mean negative log-likelihood of the labels, in nats.

    Args:
      logits: `[N, classes]`.
      labels: `[N]` integers.
      temperature: By which the logits are divided.
      binary: As for `fit`; then the mean is over the classes too.
    """
    return _loss(logits.astype(np.float64) / temperature, labels, 0.0, binary)


def error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Computes the expected calibration error: the mean gap of confidence and accuracy by bin.

    Args:
      confidence: `[N]` probabilities of the predicted classes.
      right: `[N]` booleans, whether each prediction is correct.
      bins: The number of bins, which have equal width.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017, arxiv.org/abs/1706.04599.
    """
    return sum(
        abs(sure - good) * count for _, sure, good, count in table(confidence, right, bins)
    ) / len(right)


def table(
    confidence: np.ndarray, right: np.ndarray, bins: int = BINS
) -> list[tuple[float, float, float, int]]:
    """Lists lower edge, mean confidence, accuracy and number of images of each nonempty bin."""
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        (
            n / bins,
            float(confidence[which == n].mean()),
            float(right[which == n].mean()),
            int((which == n).sum()),
        )
        for n in range(bins)
        if (which == n).any()
    ]


def _loss(logits: np.ndarray, labels: np.ndarray, left: float, binary: bool) -> float:
    """Mean loss where a share `left` of each label goes to the other classes, evenly."""
    count, classes = logits.shape
    rows = np.arange(count)
    if binary:
        own = np.zeros(logits.shape, bool)
        own[rows, labels] = True
        shares = np.where(own, 1 - left, left)  # [N, classes]
        return float(-(shares * log_expit(logits) + (1 - shares) * log_expit(-logits)).mean())
    logs = log_softmax(logits, axis=1)
    own = logs[rows, labels]  # [N]
    if not left:
        return float(-own.mean())
    others = (logs.sum(1) - own) / (classes - 1)
    return float(-((1 - left) * own + left * others).mean())
