"""Dense layers."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.dropout import Dropout
from hw2.layers.initializers import he_normal
from hw2.layers.norm import BatchNorm
from hw2.layers.sequential import Sequential, relu


class Dense(tf.Module):
    """Affine map of the last axis, `x @ w + b`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rng: np.random.Generator,
        bias: bool = True,
        l2: float = 0.0,
    ):
        """Makes `[inputs, outputs]` weights by He initialization, and a zero bias.

        Args:
          inputs: Length of the input's last axis.
          outputs: Length of the output's last axis.
          rng: Random generator of the initial weights.
          bias: Whether there is a bias; not needed before a batch norm, which has an offset.
          l2: Weight of the L2 penalty on `w`.
        """
        super().__init__()
        self.w = tf.Variable(he_normal((inputs, outputs), rng), name="w")
        self.b = tf.Variable(tf.zeros([outputs]), name="b") if bias else None
        self.l2 = l2

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[..., inputs]` to `[..., outputs]`."""
        y = tf.matmul(x, tf.cast(self.w, x.dtype))
        return y if self.b is None else tf.nn.bias_add(y, tf.cast(self.b, x.dtype))


def dense_stack(
    inputs: int, outputs: int, *, rng: np.random.Generator, keep: float = 0.5, l2: float = 0.0
) -> Sequential:
    """Stacks a dense layer without bias, batch norm, ReLU and dropout.

    Args:
      inputs: Length of the input's rows.
      outputs: Length of the output's rows.
      rng: Random generator of the initial weights.
      keep: Fraction of values that dropout keeps.
      l2: Weight of the L2 penalty on the weights.

    Returns:
      Stages that map `[N, inputs]` to `[N, outputs]`.
    """
    return Sequential(
        {
            "dense": Dense(inputs, outputs, rng=rng, bias=False, l2=l2),
            "norm": BatchNorm(outputs),
            "relu": relu,
            "dropout": Dropout(1 - keep),
        }
    )
