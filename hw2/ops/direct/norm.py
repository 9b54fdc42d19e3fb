"""Batch normalization by the compiled kernel, with ReLU in the same pass."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops.direct import library

DTYPES = (tf.bfloat16, tf.float32)


def batch_norm(
    x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, *, epsilon: float, relu: bool
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Normalizes each channel over the batch and all positions, then scales and shifts it.

    Args:
      x: `[N, H, W, C]`, of `DTYPES`; any of N, H, W may be unknown.
      scale: `[C]` float32.
      offset: `[C]` float32.
      epsilon: Added to the variance.
      relu: Whether negative results become 0.

    Returns:
      The result, as `x`; `[C]` mean; `[C]` variance, over the number of positions. The gradient is
      that of the result: mean and variance are for moving statistics, which have none.

    Cost: `x` is read twice and the result is written once; the gradient reads `x` and the result's
    gradient twice, and keeps no image but `x`.
    """
    y, mean, variance = library.load().hw2_batch_norm(x, scale, offset, epsilon=epsilon, relu=relu)
    return y, mean, variance


@tf.RegisterGradient("Hw2BatchNorm")
def _of_batch_norm(op: tf.Operation, dy: tf.Tensor, *_):
    x, scale, offset = op.inputs
    return library.load().hw2_batch_norm_grad(
        dy, x, scale, offset, *op.outputs[1:], **_attributes(op)
    )


@tf.RegisterGradient("Hw2BatchNormGrad")
def _of_batch_norm_grad(op: tf.Operation, *by_gradients: tf.Tensor):
    """The second derivative, by TensorFlow operations: it is rarely asked for."""
    epsilon, relu = op.get_attr("epsilon"), op.get_attr("relu")
    dy, x, scale, offset = op.inputs[:4]
    with tf.GradientTape() as outer:
        outer.watch([dy, x, scale, offset])
        with tf.GradientTape() as inner:
            inner.watch([x, scale, offset])
            wide = tf.cast(x, tf.float32)
            mean, variance = tf.nn.moments(wide, [0, 1, 2])
            y = (wide - mean) * (scale / tf.sqrt(variance + epsilon)) + offset
            y = tf.nn.relu(y) if relu else y
        gradients = inner.gradient(y, [x, scale, offset], tf.cast(dy, tf.float32))
    found = outer.gradient(gradients, [dy, x, scale, offset], list(by_gradients))
    return (*found, None, None)


def _attributes(op: tf.Operation) -> dict:
    return {name: op.get_attr(name) for name in ("epsilon", "relu")}
