"""Convolution of each channel by itself, then of each pixel."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.depthwise import DepthwiseConv


class SeparableConv(tf.Module):
    """A `DepthwiseConv`, then a 1x1 `Conv`: kernel**2 + out_channels products for each value.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017,
    arxiv.org/abs/1610.02357.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        bias: bool = True,
        relu: bool = False,
        l2: float = 0.0,
    ):
        """Makes both layers.

        Args:
          in_channels: Channels of the input.
          out_channels: Channels of the output.
          kernel: Side of the window of the first.
          rng: Random generator of the initial filters.
          strides: Step of that window, in pixels; padding is "SAME".
          bias: Whether the second has a bias.
          relu: Whether ReLU follows.
          l2: Weight of the L2 penalty on the filters of both.
        """
        super().__init__()
        self.depthwise = DepthwiseConv(in_channels, kernel, rng=rng, strides=strides, l2=l2)
        self.pointwise = Conv(in_channels, out_channels, 1, rng=rng, bias=bias, relu=relu, l2=l2)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, H', W', out_channels]`; H' is `ceil(H/strides)`."""
        return self.pointwise(self.depthwise(x))
