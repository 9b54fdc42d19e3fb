"""Exponential moving averages of weights."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf


def warmed_up(decay: float, step: tf.Tensor) -> tf.Tensor:
    """The decay min(decay, (1 + n) / (10 + n)) of step n, small while averages are young.

    Args:
      decay: The decay in the long run: the share of the average that one step keeps.
      step: Steps done before, an integer scalar.

    Source: the rule of `tf.train.ExponentialMovingAverage` with `num_updates`.
    """
    n = tf.cast(step, tf.float32)
    return tf.minimum(decay, (1 + n) / (10 + n))


def update(
    averages: Iterable[tf.Variable], variables: Iterable[tf.Variable], decay: tf.Tensor
) -> None:
    """Updates each average to decay * average + (1 - decay) * variable.

    To be called in every replica, whose own copy it writes; the variables must be equal on all.
    """
    for average, variable in zip(averages, variables, strict=True):
        distance = average.read_value() - variable.read_value()
        tf.raw_ops.AssignSubVariableOp(resource=average.handle, value=(1 - decay) * distance)
