"""Inverted residual blocks: narrow between blocks, wide and depthwise within."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.depthwise import DepthwiseConv
from hw2.layers.dropout import stochastic_depth
from hw2.layers.norm import BatchNorm


class InvertedResidual(tf.Module):
    """A 1x1 that widens, a depthwise convolution, a 1x1 that narrows, each with batch norm.

    ReLU, cut off at 6, follows the first two. The input is added where it has the output's shape.

    Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018,
    arxiv.org/abs/1801.04381.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        rng: np.random.Generator,
        expansion: int = 6,
        strides: int = 1,
        epsilon: float = 1e-3,
        l2: float = 0.0,
    ):
        """Makes the layers, without biases.

        Args:
          in_channels: Channels of the input.
          out_channels: Channels of the output.
          kernel: Side of the depthwise filters.
          rng: Random generator of the initial weights.
          expansion: Channels within the block over `in_channels`; with 1 there is no first 1x1.
          strides: Step of the depthwise convolution.
          epsilon: Added to the variance in the batch norms.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__()
        between = expansion * in_channels
        self.expand = self.norm1 = None
        if expansion > 1:
            self.expand = Conv(in_channels, between, 1, bias=False, rng=rng, l2=l2)
            self.norm1 = BatchNorm(between, epsilon=epsilon)
        self.depthwise = DepthwiseConv(between, kernel, strides=strides, rng=rng, l2=l2)
        self.norm2 = BatchNorm(between, epsilon=epsilon)
        self.project = Conv(between, out_channels, 1, bias=False, rng=rng, l2=l2)
        self.norm3 = BatchNorm(out_channels, epsilon=epsilon)
        self.adds = strides == 1 and in_channels == out_channels
        self.drop_rate = 0.0  # set by `hw2.layers.depth`

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, ceil(H/strides), ceil(W/strides), out_channels]`.

        Stride and padding are those of the depthwise convolution.
        """
        y = x
        if self.expand and self.norm1:
            y = tf.nn.relu6(self.norm1(self.expand(y), training=training))
        y = tf.nn.relu6(self.norm2(self.depthwise(y), training=training))
        y = self.norm3(self.project(y), training=training)
        if not self.adds:
            return y
        return x + stochastic_depth(y, rate=self.drop_rate, training=training, seed=seed)
