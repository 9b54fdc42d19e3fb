"""Transposed convolution layers, which enlarge signals, images and volumes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.conv_nd import check_groups, sides_of
from hw2.layers.initializers import he_normal
from hw2.ops.tensors import length


class _ConvTranspose(tf.Module):
    """What transposed convolutions have in common."""

    _op: Callable[..., tf.Tensor]
    _axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, ...] = 3,
        *,
        rng: np.random.Generator,
        strides: int | tuple[int, ...] = 2,
        padding: str = "SAME",
        groups: int = 1,
        bias: bool = True,
        l2: float = 0.0,
    ):
        """Makes the filters, so that the variance of activations is kept through ReLU.

        Args:
          in_channels: Channels of the input.
          out_channels: Channels of the output.
          kernel: Side of the filters, or one for each axis.
          rng: Random generator of the initial filters.
          strides: How much larger the output is, or a factor for each axis.
          padding: "SAME", which multiplies sizes by the strides, or "VALID", which keeps all that
            the windows cover.
          groups: Number of groups of channels that are convolved apart.
          bias: Whether there is a bias, zero at first.
          l2: Weight of the L2 penalty on the filters.

        Raises:
          ValueError: The channels cannot be divided into `groups`, or the padding is another.
        """
        super().__init__()
        check_groups(groups, in_channels, out_channels)
        if padding not in ("SAME", "VALID"):
            raise ValueError(f'padding must be "SAME" or "VALID", got {padding!r}.')
        self.sides, self.strides = sides_of(kernel, self._axes), sides_of(strides, self._axes)
        drawn = he_normal((*self.sides, in_channels // groups, out_channels), rng)
        # An output is reached by every stride-th tap along each axis.
        scale = math.prod(min(s, k) for s, k in zip(self.strides, self.sides, strict=True)) ** 0.5
        w = tf.reshape(scale * drawn, [*self.sides, in_channels // groups, groups, -1])
        order = [*range(self._axes), self._axes + 2, self._axes + 1, self._axes]
        shape = [*self.sides, out_channels // groups, in_channels]
        self.w = tf.Variable(tf.reshape(tf.transpose(w, order), shape), name="w")
        self.b = tf.Variable(tf.zeros([out_channels]), name="b") if bias else None
        self.out_channels, self.padding, self.l2 = out_channels, padding, l2

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, ..., in_channels]` to `[N, ..., out_channels]`, in the dtype of `x`."""
        sizes = [length(x, axis) for axis in range(1, 1 + self._axes)]
        if self.padding == "SAME":
            sizes = [size * s for size, s in zip(sizes, self.strides, strict=True)]
        else:
            all_axes = zip(sizes, self.strides, self.sides, strict=True)
            sizes = [(size - 1) * s + k for size, s, k in all_axes]
        w = tf.cast(self.w, x.dtype)
        shape = [length(x, 0), *sizes, self.out_channels]
        y = type(self)._op(x, w, shape, self.strides, self.padding)
        return y if self.b is None else tf.nn.bias_add(y, tf.cast(self.b, y.dtype))


class Conv1DTranspose(_ConvTranspose):
    """Transposed convolution of signals `[N, W, C]`."""

    _op, _axes = staticmethod(ops.conv1d_transpose), 1


class ConvTranspose(_ConvTranspose):
    """Transposed convolution of images `[N, H, W, C]`, the adjoint of `Conv`."""

    _op, _axes = staticmethod(ops.conv2d_transpose), 2


class Conv3DTranspose(_ConvTranspose):
    """Transposed convolution of volumes `[N, D, H, W, C]`."""

    _op, _axes = staticmethod(ops.conv3d_transpose), 3
