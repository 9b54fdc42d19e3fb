"""Convolution of each channel by filters of its own."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.initializers import he_normal
from hw2.ops import conv


class DepthwiseConv(tf.Module):
    """Convolves each channel with one learned filter, `depthwise_conv2d(x, w)`, without bias."""

    def __init__(
        self,
        channels: int,
        kernel: int = 3,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        l2: float = 0.0,
    ):
        """Makes `[kernel, kernel, channels, 1]` filters by He initialization.

        Args:
          channels: Channels of the input and of the output.
          kernel: Side of the filters.
          rng: Random generator of the initial filters.
          strides: Step of the window, in pixels; padding is "SAME".
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__()
        drawn = he_normal((kernel, kernel, 1, channels), rng)  # an output has kernel**2 inputs
        self.w = tf.Variable(tf.transpose(drawn, [0, 1, 3, 2]), name="w")
        self.strides, self.l2 = strides, l2

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, channels]` to `[N, H', W', channels]`; H' is `ceil(H/strides)`."""
        w = tf.cast(self.w, x.dtype)
        if conv.default() == "native":
            strides = [1, self.strides, self.strides, 1]
            return tf.nn.depthwise_conv2d(x, w, strides, "SAME")
        return ops.depthwise_conv2d(x, w, self.strides)
