"""Convolution layers, and stacks of convolution, batch norm and ReLU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.conv_nd import check_groups, sides_of
from hw2.layers.initializers import he_normal
from hw2.layers.norm import BatchNorm
from hw2.layers.sequential import Layer, Sequential
from hw2.ops.geometry import Padding


class Conv(tf.Module):
    """Convolution of images with learned filters, `conv2d(x, w) + b`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int] = 3,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        padding: Padding = "SAME",
        dilations: int = 1,
        groups: int = 1,
        bias: bool = True,
        relu: bool = False,
        l2: float = 0.0,
    ):
        """Makes `[kH, kW, in_channels / groups, out_channels]` filters by He initialization.

        Args:
          in_channels: Channels of the input.
          out_channels: Channels of the output, the number of filters.
          kernel: Side, or (rows, columns), of the filters.
          rng: Random generator of the initial filters.
          strides: Step of the window, in pixels.
          padding: As for `hw2.ops.conv2d`.
          dilations: Distance between neighbouring taps of the window, in pixels.
          groups: Number of groups of channels that are convolved apart, each with its share of
            the filters.
          bias: Whether there is a bias, zero at first; not needed before a batch norm, which has
            an offset of its own.
          relu: Whether ReLU follows, in the same pass as the bias.
          l2: Weight of the L2 penalty on the filters.

        Raises:
          ValueError: The channels cannot be divided evenly into `groups`.
        """
        super().__init__()
        check_groups(groups, in_channels, out_channels)
        kh, kw = sides_of(kernel, 2)
        shape = (kh, kw, in_channels // groups, out_channels)
        self.w = tf.Variable(he_normal(shape, rng), name="w")
        self.b = tf.Variable(tf.zeros([out_channels]), name="b") if bias else None
        self.strides, self.padding, self.dilations = strides, padding, dilations
        self.relu, self.l2 = relu, l2

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, H', W', out_channels]`, in the dtype of `x`."""
        w = tf.cast(self.w, x.dtype)
        return ops.conv2d(
            x, w, self.strides, self.padding, self.dilations, bias=self.b, relu=self.relu
        )


def conv_stack(
    in_channels: int,
    filters: Sequence[int],
    kernels: Sequence[int],
    *,
    rng: np.random.Generator,
    strides: Sequence[int] | None = None,
    paddings: Sequence[Padding] | None = None,
    l2: float = 0.0,
) -> Sequential:
    """Stacks convolution, batch norm and ReLU; one of each per entry of the lists.

    Args:
      in_channels: Channels of the input.
      filters: Number of filters of each convolution.
      kernels: Side of each convolution's window.
      rng: Random generator of the initial weights.
      strides: Step of each window; 1 by default.
      paddings: Padding of each; "SAME" by default.
      l2: Weight of the L2 penalty on the filters.

    Returns:
      Stages "conv1", "conv2", and so on.

    Raises:
      ValueError: The lists differ in length.
    """
    strides = strides or [1] * len(filters)
    paddings = paddings or ["SAME"] * len(filters)
    if not len(filters) == len(kernels) == len(strides) == len(paddings):
        raise ValueError(
            "filters, kernels, strides and paddings must be equally many, got "
            f"{len(filters)}, {len(kernels)}, {len(strides)} and {len(paddings)}."
        )
    stages: dict[str, Layer] = {}
    for i, (out_channels, kernel, stride, padding) in enumerate(
        zip(filters, kernels, strides, paddings, strict=True), start=1
    ):
        stages[f"conv{i}"] = ConvBlock(
            in_channels, out_channels, kernel, rng=rng, strides=stride, padding=padding, l2=l2
        )
        in_channels = out_channels
    return Sequential(stages)


class ConvBlock(tf.Module):
    """A convolution without bias, then batch norm and ReLU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int] = 3,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        padding: Padding = "SAME",
        l2: float = 0.0,
    ):
        """Makes the layers; arguments as for `Conv`."""
        super().__init__()
        self.conv = Conv(
            in_channels,
            out_channels,
            kernel,
            rng=rng,
            strides=strides,
            padding=padding,
            bias=False,
            l2=l2,
        )
        self.norm = BatchNorm(out_channels, relu=True)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, H', W', out_channels]`."""
        return self.norm(self.conv(x), training=training)
