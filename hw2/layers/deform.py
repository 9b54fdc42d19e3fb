"""Convolution whose window moves its taps."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.conv_nd import check_groups
from hw2.layers.initializers import he_normal


class DeformConv(tf.Module):
    """Deformable convolution with offsets and a mask that a convolution computes from the input.

    That one has weights of 0 at first, so training begins with a plain convolution of half the
    filters: all offsets are 0, and the mask is sigmoid(0).

    Source: Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", 2019,
    arxiv.org/abs/1811.11168.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        dilations: int = 1,
        groups: int = 1,
        offset_groups: int = 1,
        bias: bool = True,
        relu: bool = False,
        l2: float = 0.0,
    ):
        """Makes the filters by He initialization.

        Args:
          in_channels: Channels of the input.
          out_channels: Channels of the output, the number of filters.
          kernel: Side of the filters.
          rng: Random generator of the initial filters.
          strides: Step of the window, in pixels; padding is "SAME".
          dilations: Distance between neighbouring taps before they are moved.
          groups: Number of groups of channels that are convolved apart.
          offset_groups: Number of groups of channels that have offsets of their own.
          bias: Whether there is a bias, zero at first.
          relu: Whether ReLU follows.
          l2: Weight of the L2 penalty on the filters.

        Raises:
          ValueError: The channels cannot be divided evenly into the groups.
        """
        super().__init__()
        check_groups(groups, in_channels, out_channels)
        if offset_groups < 1 or in_channels % offset_groups:
            raise ValueError(
                f"offset_groups must divide in_channels evenly, got {offset_groups} and "
                f"{in_channels}."
            )
        shape = (kernel, kernel, in_channels // groups, out_channels)
        self.w = tf.Variable(he_normal(shape, rng), name="w")
        self.b = tf.Variable(tf.zeros([out_channels]), name="b") if bias else None
        self.taps = offset_groups * kernel**2
        moves = [kernel, kernel, in_channels, 3 * self.taps]  # two offsets, and a mask
        self.w_moves = tf.Variable(tf.zeros(moves), name="w_moves")
        self.b_moves = tf.Variable(tf.zeros(moves[3:]), name="b_moves")
        self.strides, self.dilations, self.relu, self.l2 = strides, dilations, relu, l2

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, H', W', out_channels]`; H' is `ceil(H/strides)`."""
        options = self.strides, "SAME", self.dilations
        moves = ops.conv2d(x, tf.cast(self.w_moves, x.dtype), *options, bias=self.b_moves)
        offsets, mask = tf.split(moves, [2 * self.taps, self.taps], 3)
        w = tf.cast(self.w, x.dtype)
        inputs = x, w, offsets, tf.nn.sigmoid(mask)
        return ops.deform_conv2d(*inputs, *options, bias=self.b, relu=self.relu)
