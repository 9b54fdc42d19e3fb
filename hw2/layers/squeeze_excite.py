"""Squeeze and excitation: channels scaled by factors computed from the whole image."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.dense import Dense
from hw2.layers.pool import global_mean


class SqueezeExcite(tf.Module):
    """Scales each channel by a factor in (0, 1), computed from the means of all channels.

    Source: Hu et al., "Squeeze-and-Excitation Networks", 2017, arxiv.org/abs/1709.01507.
    """

    def __init__(
        self, channels: int, *, rng: np.random.Generator, reduction: int = 16, l2: float = 0.0
    ):
        """Makes two dense layers with biases.

        Args:
          channels: Length of the last axis.
          rng: Random generator of the initial weights.
          reduction: The hidden layer has channels / reduction values, at least one.
          l2: Weight of the L2 penalty on the weights.
        """
        super().__init__()
        between = max(channels // reduction, 1)
        self.squeeze = Dense(channels, between, rng=rng, l2=l2)
        self.excite = Dense(between, channels, rng=rng, l2=l2)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, channels]` to the same shape."""
        factors = tf.sigmoid(self.excite(tf.nn.relu(self.squeeze(global_mean(x)))))
        return x * factors[:, None, None, :]
