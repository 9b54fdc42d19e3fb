"""RMSprop: gradients divided by the root of a running mean of their squares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from hw2.training.slots import decay, slot


class Rmsprop(tf.Module):
    """Divides each gradient by the root of a running mean of its squares; with or without momentum.

    Source: Hinton, "Neural Networks for Machine Learning", lecture 6e, 2012,
    www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf.
    """

    def __init__(
        self,
        variables: dict[str, tf.Variable],
        *,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
    ):
        """Makes two slots, initially zero, for each variable.

        Args:
          variables: By name.
          rho: Share of the running mean of squares that one step keeps.
          momentum: Share of the velocity that one step keeps, in [0, 1).
          epsilon: Added to the running mean, under the root.
          weight_decay: This times the rate shrinks each weight before the step.
        """
        super().__init__()
        self.square = {name: slot(v) for name, v in variables.items()}
        self.velocity = {name: slot(v) for name, v in variables.items()}
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon
        self.weight_decay = weight_decay
        self._variables = list(variables.values())

    @property
    def traces(self) -> dict[str, tf.Variable]:
        """The velocities, which hold the last step even without momentum; see `Optimizer`."""
        return self.velocity

    def gradients(self, before: Mapping[str, np.ndarray], rate: float) -> dict[str, np.ndarray]:
        """Computes the gradients of the last step from the velocities; see `Optimizer`."""
        if not rate:
            return {}
        result = {}
        for name, old in before.items():
            root = np.sqrt(self.square[name].numpy() + self.epsilon)
            result[name] = (self.velocity[name].numpy() - self.momentum * old) / rate * root
        return result

    def apply(
        self, gradients: Sequence[tf.Tensor | None], *, rate: tf.Tensor, step: tf.Tensor
    ) -> None:
        """Changes the variables by one step; see `Optimizer`."""
        slots = zip(
            self._variables, self.square.values(), self.velocity.values(), gradients, strict=True
        )
        for variable, square, velocity, gradient in slots:
            if gradient is None:
                continue
            decay(variable, self.weight_decay, rate)
            tf.raw_ops.ResourceApplyRMSProp(
                var=variable.handle,
                ms=square.handle,
                mom=velocity.handle,
                lr=tf.cast(rate, variable.dtype),
                rho=self.rho,
                momentum=self.momentum,
                epsilon=self.epsilon,
                grad=gradient,
            )
