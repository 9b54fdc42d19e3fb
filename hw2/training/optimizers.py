"""Optimizers on TensorFlow's fused kernels."""

from __future__ import annotations

import tensorflow as tf


class Adam(tf.Module):
    """Adam: steps by the running mean of gradients over the root of that of their squares.

    `apply` runs in every replica alike, on gradients that are already summed over replicas; it
    writes each replica's own copy, so that the copies stay equal without further traffic.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2014,
    arxiv.org/abs/1412.6980.
    """

    def __init__(
        self,
        variables: dict[str, tf.Variable],
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ):
        """Makes two slots, zero at first, for each of the named variables."""
        super().__init__()
        self.mean = {name: _slot(v) for name, v in variables.items()}
        self.square = {name: _slot(v) for name, v in variables.items()}
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self._variables = list(variables.values())

    def apply(self, gradients: list[tf.Tensor], *, rate: tf.Tensor, step: tf.Tensor) -> None:
        """Changes the variables by one step.

        Args:
          gradients: One for each variable, in their order.
          rate: Learning rate, a scalar.
          step: Steps done before this one, an integer scalar.
        """
        slots = zip(
            self._variables, self.mean.values(), self.square.values(), gradients, strict=True
        )
        for variable, mean, square, gradient in slots:
            count = tf.cast(step + 1, variable.dtype)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=tf.pow(self.beta1, count),
                beta2_power=tf.pow(self.beta2, count),
                lr=tf.cast(rate, variable.dtype),
                beta1=self.beta1,
                beta2=self.beta2,
                epsilon=self.epsilon,
                grad=gradient,
            )


def _slot(variable: tf.Variable) -> tf.Variable:
    return tf.Variable(tf.zeros(variable.shape, variable.dtype), trainable=False)
