"""The fire module of SqueezeNet."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv


class Fire(tf.Module):
    """A 1x1 that narrows, then a 1x1 and a 3x3 side by side, each with bias and ReLU.

    Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016,
    arxiv.org/abs/1602.07360.
    """

    def __init__(
        self,
        in_channels: int,
        squeeze: int,
        expand: int,
        *,
        rng: np.random.Generator,
        l2: float = 0.0,
    ):
        """Makes the layers.

        Args:
          in_channels: Channels of the input.
          squeeze: Channels after the first 1x1.
          expand: Channels of each of the two that follow; the output has twice as many.
          rng: Random generator of the initial weights.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__()
        self.squeeze = Conv(in_channels, squeeze, 1, relu=True, rng=rng, l2=l2)
        self.expand1 = Conv(squeeze, expand, 1, relu=True, rng=rng, l2=l2)
        self.expand3 = Conv(squeeze, expand, 3, relu=True, rng=rng, l2=l2)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, H, W, 2 * expand]`."""
        y = self.squeeze(x)
        return tf.concat([self.expand1(y), self.expand3(y)], 3)
