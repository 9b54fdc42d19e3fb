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
          inputs: Length of the last axis.
          outputs: Length of the result's.
          rng: Where the first weights come from.
          bias: False before a batch norm, which has its own.
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
    """Dense without bias, batch norm, ReLU, dropout: `[N, inputs]` to `[N, outputs]`.

    Args:
      inputs: Length of each row.
      outputs: Length of each result.
      rng: Where the first weights come from.
      keep: Fraction of values that dropout keeps.
      l2: Weight of the L2 penalty on the weights.
    """
    return Sequential(
        {
            "dense": Dense(inputs, outputs, rng=rng, bias=False, l2=l2),
            "norm": BatchNorm(outputs),
            "relu": relu,
            "dropout": Dropout(1 - keep),
        }
    )
