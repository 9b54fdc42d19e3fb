"""Exponential moving averages of weights."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf


def warmed_up(decay: float, step: tf.Tensor) -> tf.Tensor:
    """min(decay, (1 + n) / (10 + n)): short memory while there is little to remember.

    Args:
      decay: Share of the average that one step leaves as it was, in the long run.
      step: Steps done before, an integer scalar.

    Source: the rule of `tf.train.ExponentialMovingAverage` with `num_updates`.
    """
    n = tf.cast(step, tf.float32)
    return tf.minimum(decay, (1 + n) / (10 + n))


def update(
    averages: Iterable[tf.Variable], variables: Iterable[tf.Variable], decay: tf.Tensor
) -> None:
    """Moves each average towards its variable by 1 - decay of the way.

    Runs in every replica alike and writes each replica's own copy; the variables must be equal
    on all.
    """
    for average, variable in zip(averages, variables, strict=True):
        distance = average.read_value() - variable.read_value()
        tf.raw_ops.AssignSubVariableOp(resource=average.handle, value=(1 - decay) * distance)
