"""Lion: steps of one size, in the direction of the sign of a running mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from hw2.training.slots import decay, put, slot, subtract


class Lion(tf.Module):
    """Moves each weight by the rate against the sign of a mix of its gradient and a running mean.

    Source: Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023,
    arxiv.org/abs/2302.06675.
    """

    def __init__(
        self,
        variables: dict[str, tf.Variable],
        *,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.0,
    ):
        """Makes a running mean, initially zero, for each variable.

        Args:
          variables: By name.
          beta1: Share of the running mean in the direction of a step; the gradient has the rest.
          beta2: Share of the running mean that one step keeps.
          weight_decay: This times the rate shrinks each weight before the step.
        """
        super().__init__()
        self.mean = {name: slot(v) for name, v in variables.items()}
        self.beta1, self.beta2, self.weight_decay = beta1, beta2, weight_decay
        self._variables = list(variables.values())

    @property
    def traces(self) -> dict[str, tf.Variable]:
        """The running means; see `Optimizer`."""
        return self.mean

    def gradients(self, before: Mapping[str, np.ndarray], rate: float) -> dict[str, np.ndarray]:
        """Computes the gradients of the last step from the running means; see `Optimizer`."""
        share = 1 - self.beta2
        return {n: old + (self.mean[n].numpy() - old) / share for n, old in before.items()}

    def apply(
        self, gradients: Sequence[tf.Tensor | None], *, rate: tf.Tensor, step: tf.Tensor
    ) -> None:
        """Changes the variables by one step; see `Optimizer`."""
        for variable, mean, gradient in zip(
            self._variables, self.mean.values(), gradients, strict=True
        ):
            if gradient is None:
                continue
            decay(variable, self.weight_decay, rate)
            old = mean.read_value()
            mixed = self.beta1 * old + (1 - self.beta1) * gradient
            subtract(variable, tf.cast(rate, variable.dtype) * tf.sign(mixed))
            put(mean, self.beta2 * old + (1 - self.beta2) * gradient)
