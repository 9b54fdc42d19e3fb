"""AdaGrad: a step size for each weight, which falls with the gradients that it has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from hw2.training.slots import LEAST_RATE, decay, put, slot, subtract

INITIAL_SUM = 0.1  # Keras's; it keeps the first steps from being as large as the rate itself


class Adagrad(tf.Module):
    """Divides each gradient by the root of the sum of the squares of all before it.

    Source: Duchi et al., "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", 2011, jmlr.org/papers/v12/duchi11a.html.
    """

    def __init__(
        self,
        variables: dict[str, tf.Variable],
        *,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
    ):
        """Makes a sum of squares, initially 0.1, for each variable.

        Args:
          variables: By name.
          epsilon: Added to the sum, under the root.
          weight_decay: This times the rate shrinks each weight before the step.
        """
        super().__init__()
        self.sum = {name: slot(v, INITIAL_SUM) for name, v in variables.items()}
        self.epsilon, self.weight_decay = epsilon, weight_decay
        self._named = dict(variables)

    @property
    def traces(self) -> dict[str, tf.Variable]:
        """The variables themselves; see `Optimizer`."""
        return self._named

    def gradients(self, before: Mapping[str, np.ndarray], rate: float) -> dict[str, np.ndarray]:
        """Computes the gradients of the last step from what it changed; see `Optimizer`."""
        if rate < LEAST_RATE:
            return {}
        result = {}
        for name, old in before.items():
            left = 1 - rate * self.weight_decay if old.ndim > 1 else 1.0
            root = np.sqrt(self.sum[name].numpy() + self.epsilon)
            result[name] = (left * old - self._named[name].numpy()) / rate * root
        return result

    def apply(
        self, gradients: Sequence[tf.Tensor | None], *, rate: tf.Tensor, step: tf.Tensor
    ) -> None:
        """Changes the variables by one step; see `Optimizer`."""
        for variable, total, gradient in zip(
            self._named.values(), self.sum.values(), gradients, strict=True
        ):
            if gradient is None:
                continue
            decay(variable, self.weight_decay, rate)
            squares = total.read_value() + tf.square(gradient)
            put(total, squares)
            lr = tf.cast(rate, variable.dtype)
            subtract(variable, lr * gradient / tf.sqrt(squares + self.epsilon))
