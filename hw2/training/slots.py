"""What optimizers share: a variable beside each weight, and decoupled weight decay."""

from __future__ import annotations

import tensorflow as tf

LEAST_RATE = 1e-4  # below it, rounding hides what a step changes in the weights themselves


def slot(variable: tf.Variable, value: float = 0.0) -> tf.Variable:
    """Makes a variable of the same shape and type, filled with `value`."""
    return tf.Variable(tf.fill(variable.shape, tf.constant(value, variable.dtype)), trainable=False)


def decay(variable: tf.Variable, share: float, rate: tf.Tensor) -> None:
    """Shrinks a variable by `rate * share`, unless it has only one axis."""
    if share and len(variable.shape) > 1:
        part = tf.cast(rate * share, variable.dtype)
        subtract(variable, part * variable.read_value())


def subtract(variable: tf.Variable, value: tf.Tensor) -> None:
    """Subtracts a value from this replica's own copy of a variable."""
    tf.raw_ops.AssignSubVariableOp(resource=variable.handle, value=value)


def put(variable: tf.Variable, value: tf.Tensor) -> None:
    """Sets this replica's own copy of a variable."""
    tf.raw_ops.AssignVariableOp(resource=variable.handle, value=value)
