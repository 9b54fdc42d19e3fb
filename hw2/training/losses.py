"""Loss functions, which return the loss of each example.

Labels are class indices `[N]`, or shares of every class `[N, classes]` that sum to 1, as mixup
and CutMix make them.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Softmax cross entropy.

    Args:
      labels: `[N]` integers in [0, classes), or `[N, classes]`.
      logits: `[N, classes]`.

    Returns:
      `[N]`, in nats.
    """
    if len(labels.shape) == 1:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def kl_divergence(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Kullback-Leibler divergence of the softmax from the labels.

    It is the cross entropy minus the entropy of the labels, so both have the same gradient, and
    are equal for labels that give one class all of the share.

    Args:
      labels: `[N]` integers in [0, classes), or `[N, classes]`.
      logits: `[N, classes]`.

    Returns:
      `[N]`, in nats, at least 0.
    """
    shares = shares_of(labels, logits)
    entropy = -tf.reduce_sum(tf.math.xlogy(shares, shares), -1)
    return cross_entropy(labels, logits) - entropy


def binary_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross entropy of each class with a sigmoid of its own, averaged over the classes.

    Args:
      labels: `[N]` integers in [0, classes), or `[N, classes]`, each in [0, 1].
      logits: `[N, classes]`.

    Returns:
      `[N]`, in nats.

    Source: Wightman et al., "ResNet strikes back", 2021, arxiv.org/abs/2110.00476.
    """
    shares = shares_of(labels, logits)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(shares, logits), -1)


LOSSES = {"cross_entropy": cross_entropy, "kl": kl_divergence, "binary": binary_cross_entropy}


def smoothed(loss: Loss, smoothing: float) -> Loss:
    """Adds label smoothing to a loss: a share of each label is spread evenly over all classes.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
    arxiv.org/abs/1512.00567.
    """
    if not smoothing:
        return loss

    def of_smoothed(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        shares = shares_of(labels, logits)
        return loss(shares * (1 - smoothing) + smoothing / logits.shape[-1], logits)

    return of_smoothed


def shares_of(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Converts labels to shares `[N, classes]` of the logits' type."""
    if len(labels.shape) == 1:
        return tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return tf.cast(labels, logits.dtype)
