"""Convolution layers of signals and of volumes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.initializers import he_normal
from hw2.ops.geometry import Padding, Pair


class _Conv(tf.Module):
    """What convolutions of signals and of volumes have in common."""

    _op: Callable[..., tf.Tensor]
    _axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, ...] = 3,
        *,
        rng: np.random.Generator,
        strides: Pair = 1,
        padding: Padding | Sequence[int] = "SAME",
        dilations: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        relu: bool = False,
        l2: float = 0.0,
    ):
        """Makes the filters by He initialization; arguments as for `Conv`.

        Args:
          in_channels: Channels of the input.
          out_channels: Channels of the output, the number of filters.
          kernel: Side of the filters, or one for each axis.
          rng: Random generator of the initial filters.
          strides: Step of the window, or one for each axis.
          padding: As for the op.
          dilations: Distance between neighbouring taps, or one for each axis.
          groups: Number of groups of channels that are convolved apart.
          bias: Whether there is a bias, zero at first.
          relu: Whether ReLU follows, in the same pass as the bias.
          l2: Weight of the L2 penalty on the filters.

        Raises:
          ValueError: The channels cannot be divided evenly into `groups`.
        """
        super().__init__()
        check_groups(groups, in_channels, out_channels)
        sides = sides_of(kernel, self._axes)
        shape = (*sides, in_channels // groups, out_channels)
        self.w = tf.Variable(he_normal(shape, rng), name="w")
        self.b = tf.Variable(tf.zeros([out_channels]), name="b") if bias else None
        self.strides, self.padding, self.dilations = strides, padding, dilations
        self.relu, self.l2 = relu, l2

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, ..., in_channels]` to `[N, ..., out_channels]`, in the dtype of `x`."""
        w = tf.cast(self.w, x.dtype)
        options = self.strides, self.padding, self.dilations
        return type(self)._op(x, w, *options, bias=self.b, relu=self.relu)


class Conv1D(_Conv):
    """Convolution of signals `[N, W, C]` with learned filters, `conv1d(x, w) + b`."""

    _op, _axes = staticmethod(ops.conv1d), 1


class Conv3D(_Conv):
    """Convolution of volumes or clips `[N, D, H, W, C]`, `conv3d(x, w) + b`."""

    _op, _axes = staticmethod(ops.conv3d), 3


def sides_of(kernel: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    """The sides of a window along each axis."""
    return (kernel,) * axes if isinstance(kernel, int) else tuple(kernel)


def check_groups(groups: int, in_channels: int, out_channels: int) -> None:
    """Raises a `ValueError` where channels cannot be divided evenly into groups."""
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(
            "groups must divide in_channels and out_channels evenly, got "
            f"{groups}, {in_channels} and {out_channels}."
        )
