"""Functions that keep nothing of what they compute for their gradient but their inputs."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def recomputed(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Makes a function of tensors compute again for its gradient what it would else keep for it.

    In place of `tf.recompute_grad`, which has no second derivatives; these are to any order.

    Args:
      function: From float tensors to one tensor; it must not read variables of its own.

    Cost: a second forward pass in each gradient. Where XLA compiles the whole it may join both
    passes into one, and then nothing is saved.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016,
    arxiv.org/abs/1604.06174.
    """

    @tf.custom_gradient
    def apply(*inputs):
        def grad(dy):
            with tf.control_dependencies([dy]):  # not before it is needed
                again = [tf.identity(x) for x in inputs]
            with tf.GradientTape() as tape:
                tape.watch(again)
                y = function(*again)
            return tape.gradient(y, again, dy)

        # A tape outside keeps nothing of a function whose inputs have no gradient.
        return function(*map(tf.stop_gradient, inputs)), grad

    return apply
