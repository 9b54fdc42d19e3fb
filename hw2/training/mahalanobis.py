"""Mahalanobis distance: how far the features of an image are from those of the known classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.covariance import ledoit_wolf


class Gaussians(NamedTuple):
    """One normal distribution for each class, all with the same covariance.

    Attributes:
      means: `[classes, D]`; a class without images has none.
      precision: `[D, D]`, the inverse of the covariance.
    """

    means: np.ndarray
    precision: np.ndarray


def fit(features: np.ndarray, labels: np.ndarray) -> Gaussians:
    """Fits a normal distribution to the features of each class.

    The covariance is shrunk towards a multiple of the identity as Ledoit and Wolf do, so it has
    an inverse even for fewer images than features.

    Args:
      features: `[N, D]` of training images, such as the input of the last layer.
      labels: `[N]` integers.

    Raises:
      ValueError: The features are not `[N, D]` with N labels and N at least 2, one of them is not
        finite, or all images of each class have the same features.

    Source: Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
    Adversarial Attacks", 2018, arxiv.org/abs/1807.03888; Ledoit and Wolf, "A Well-Conditioned
    Estimator for Large-Dimensional Covariance Matrices", 2004, for the covariance.
    """
    if features.ndim != 2 or labels.shape != features.shape[:1] or len(labels) < 2:
        raise ValueError(
            "features must be [N, D] and labels [N], with N at least 2, got "
            f"{list(features.shape)} and {list(labels.shape)}."
        )
    if not np.isfinite(features).all():
        raise ValueError("features must be finite, got some that are not.")
    features = features.astype(np.float64)
    _, which = np.unique(labels, return_inverse=True)
    counts = np.bincount(which)  # [classes]
    means = np.zeros([len(counts), features.shape[1]])
    np.add.at(means, which, features)
    means /= counts[:, None]
    spread = features - means[which]
    if not spread.any():
        raise ValueError("features must differ within a class, got the same for all its images.")
    covariance, _ = ledoit_wolf(spread, assume_centered=True)
    return Gaussians(means, np.linalg.inv(covariance))


def distance(features: np.ndarray, fitted: Gaussians) -> np.ndarray:
    """Computes the squared Mahalanobis distance of each image to the nearest class.

    Args:
      features: `[N, D]`, of the same layer as those that were fitted.
      fitted: What `fit` returned.

    Returns:
      `[N]` float64, 0 at the mean of a class. Its negative is a confidence for
      `hw2.training.rejection`.

    Cost: `2 * N * classes * D * D` operations.
    """
    nearest = np.full(len(features), np.inf)
    for mean in fitted.means:
        away = features - mean  # [N, D]
        nearest = np.minimum(nearest, ((away @ fitted.precision) * away).sum(1))
    return nearest
