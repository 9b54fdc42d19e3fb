"""Octave convolution, with batch norm and ReLU, and stacks of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.initializers import he_normal
from hw2.layers.norm import BatchNorm


class OctaveConv(tf.Module):
    """Octave convolution of images of high and of low frequency, with learned filters.

    Source: Chen et al., "Drop an Octave: Reducing Spatial Redundancy in Convolutional Neural
    Networks with Octave Convolution", 2019, arxiv.org/abs/1904.05049.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        rng: np.random.Generator,
        low: int,
        strides: int = 1,
        l2: float = 0.0,
    ):
        """Makes `[kernel, kernel, in_channels, out_channels]` filters by He initialization.

        Args:
          in_channels: Channels of both inputs together.
          out_channels: Channels of both outputs together.
          kernel: Side of the filters.
          rng: Random generator of the initial filters.
          low: How many of the output channels have half the rows and columns.
          strides: Step of the window, in pixels.
          l2: Weight of the L2 penalty on the filters.

        Raises:
          ValueError: `low` is not within 0 and `out_channels`.
        """
        super().__init__()
        if not 0 <= low <= out_channels:
            raise ValueError(f"low must be 0 to {out_channels}, the output channels, got {low}.")
        self.w = tf.Variable(he_normal((kernel, kernel, in_channels, out_channels), rng), name="w")
        self.low, self.strides, self.l2 = low, strides, l2

    def __call__(
        self,
        x: tuple[tf.Tensor, tf.Tensor],
        *,
        training: bool = False,
        seed: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps a pair (`[N, H, W, C]`, `[N, ceil(H/2), ceil(W/2), C']`) to such a pair."""
        high, low = x
        return ops.octave_conv2d(high, low, tf.cast(self.w, high.dtype), self.low, self.strides)


class OctaveStack(tf.Module):
    """Octave convolutions, each with batch norm and ReLU; the last joins both frequencies.

    From images to images, so it takes the place of a `conv_stack`.
    """

    def __init__(
        self,
        in_channels: int,
        filters: Sequence[int],
        kernels: Sequence[int],
        *,
        rng: np.random.Generator,
        alpha: float = 0.5,
        strides: Sequence[int] | None = None,
        l2: float = 0.0,
    ):
        """Makes the layers; arguments as for `conv_stack`, and `alpha`.

        Args:
          in_channels: Channels of the input.
          filters: Number of filters of each convolution.
          kernels: Side of each convolution's window.
          rng: Random generator of the initial weights.
          alpha: Share of the channels between the layers that have half the rows and columns.
          strides: Step of each window; 1 by default.
          l2: Weight of the L2 penalty on the filters.

        Raises:
          ValueError: The lists differ in length, or `alpha` is not in [0, 1).
        """
        super().__init__()
        strides = strides or [1] * len(filters)
        if not 0 <= alpha < 1:
            raise ValueError(f"alpha must be in [0, 1), got {alpha}.")
        if not len(filters) == len(kernels) == len(strides):
            raise ValueError(
                "filters, kernels and strides must be equally many, got "
                f"{len(filters)}, {len(kernels)} and {len(strides)}."
            )
        lows = [int(alpha * f) for f in filters[:-1]] + [0]
        self.convs, self.norms = [], []
        for out, kernel, stride, low in zip(filters, kernels, strides, lows, strict=True):
            self.convs.append(
                OctaveConv(in_channels, out, kernel, rng=rng, low=low, strides=stride, l2=l2)
            )
            self.norms.append([BatchNorm(c, relu=True) for c in (out - low, low) if c])
            in_channels = out

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, H', W', filters[-1]]`."""
        low = ops.avg_pool2d(x, 2, 2)[..., :0]  # none yet
        for conv, norms in zip(self.convs, self.norms, strict=True):
            parts = conv((x, low))
            normed = [norm(part, training=training) for norm, part in zip(norms, parts)]  # noqa: B905
            x, low = normed[0], normed[1] if len(normed) > 1 else parts[1]
        return x
