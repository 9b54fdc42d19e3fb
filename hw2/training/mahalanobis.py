"""Mahalanobis distance: how far the features of an image are from those of the known classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf
from scipy.linalg import solve_triangular
from sklearn.covariance import ledoit_wolf


class Gaussians(NamedTuple):
    """One normal distribution for each class, all with the same covariance.

    Attributes:
      centre: `[D]`, the mean of the features, which is subtracted first so that float32 serves.
      whitening: `[D, D]`, by which features are multiplied so that their covariance is the
        identity.
      means: `[classes, D]` of whitened features; a class without images has none.
    """

    centre: np.ndarray
    whitening: np.ndarray
    means: np.ndarray


def fit(features: np.ndarray, labels: np.ndarray) -> Gaussians:
    """Fits a normal distribution to the features of each class.

    The covariance is shrunk towards a multiple of the identity as Ledoit and Wolf do, so it has
    an inverse even for fewer images than features.

    Args:
      features: `[N, D]` of training images, such as the input of the last layer.
      labels: `[N]` integers.

    Returns:
      Arrays of float32.

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
    centre = features.mean(0)
    features -= centre
    _, which = np.unique(labels, return_inverse=True)
    counts = np.bincount(which)  # [classes]
    means = np.zeros([len(counts), features.shape[1]])
    np.add.at(means, which, features)
    means /= counts[:, None]
    spread = features - means[which]
    if not spread.any():
        raise ValueError("features must differ within a class, got the same for all its images.")
    covariance, _ = ledoit_wolf(spread, assume_centered=True)
    try:
        root = np.linalg.cholesky(covariance)  # lower triangle: covariance = root @ root.T
    except np.linalg.LinAlgError as error:
        raise ValueError("features must have a covariance with an inverse, got none.") from error
    whitening = solve_triangular(root, np.eye(len(root)), lower=True).T
    arrays = (centre, whitening, means @ whitening)
    return Gaussians(*(np.asarray(array, np.float32) for array in arrays))


def distance(features: tf.Tensor, fitted: Gaussians) -> tf.Tensor:
    """Computes the Mahalanobis distance of each image to the nearest class.

    Args:
      features: `[N, D]`, of the same layer as those that were fitted.
      fitted: What `fit` returned.

    Returns:
      `[N]` of the features' type, 0 at the mean of a class. Its negative is a confidence for
      `hw2.training.rejection`.

    Cost: `2 * N * D * (D + classes)` operations.
    """
    centre, whitening, means = (tf.cast(array, features.dtype) for array in fitted)
    z = tf.matmul(features - centre, whitening)  # [N, D]
    products = tf.matmul(z, means, transpose_b=True)  # [N, classes]
    lengths = tf.reduce_sum(z * z, 1, keepdims=True)  # [N, 1]
    squares = lengths - 2 * products + tf.reduce_sum(means * means, 1)  # [N, classes]
    most = squares.dtype.max  # for what overflows: it is far, and no longer a number
    squares = tf.where(squares <= most, squares, most)
    return tf.sqrt(tf.maximum(tf.reduce_min(squares, 1), 0))
