"""Losses of each example."""

import tensorflow as tf


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Softmax cross entropy of class indices.

    Args:
      labels: `[N]` integers in [0, classes).
      logits: `[N, classes]`.

    Returns:
      `[N]`, in nats.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
