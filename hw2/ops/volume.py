"""Convolution of volumes by that of images, and its adjoint.

The slices that a window reads along the depth become channels of one image. So a volume takes
kD/sD times its memory, not kD*kH*kW, and every algorithm of `conv2d` convolves volumes too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.conv import check_channels, conv2d
from hw2.ops.geometry import Padding, Pair, Size
from hw2.ops.groups import swapped
from hw2.ops.patches import fold, unfold
from hw2.ops.tensors import length, widen, with_shape
from hw2.ops.transpose import check_positions, conv2d_transpose, number_of_groups, output_size


def conv3d(
    x: tf.Tensor,
    w: tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NDHWC",
    bias: tf.Tensor | None = None,
    relu: bool = False,
    algorithm: str | None = None,
) -> tf.Tensor:
    """Convolves volumes, or clips of images, with filters; in place of `tf.nn.conv3d`.

    Args:
      x: `[N, D, H, W, groups*C]` volumes; any of N, D, H, W may be unknown.
      w: `[kD, kH, kW, C, O]` filters. Where `x` has a multiple of C channels, that many groups of
        channels are convolved apart, each with its share of the O filters.
      strides: An int, three ints or `[1, sD, sH, sW, 1]`.
      padding: "SAME", "VALID", or zeros, a pair (before, after) for each axis.
      dilations: Distances of neighbouring taps, in the forms of `strides`.
      data_format: "NDHWC", or "NCDHW" for `[N, C, D, H, W]` in and out.
      bias: `[O]`, added to every position, as for `conv2d`, and so are `relu` and `algorithm`.
      relu: Whether negative results become 0.
      algorithm: By which the images of kD*C channels are convolved.

    Returns:
      `[N, D', H', W', O]`. float16 and bfloat16 are summed in float32 and rounded once; the
      gradient by bfloat16 volumes up to three times, since its products keep to bfloat16.

    Raises:
      ValueError: Ranks, channels, dtypes or options do not fit together.

    Cost: N*D'*H'*W'*kD*kH*kW*C*O multiply-adds; kD/sD times the memory of `x`, and what the
    algorithm takes.

    Source: Tran et al., "Learning Spatiotemporal Features with 3D Convolutional Networks", 2015,
    arxiv.org/abs/1412.0767.
    """
    x = tensors.volumes(x, data_format)
    w = tensors.weights(w, "kD, kH, kW, C, O", x)
    number = check_channels(x, w)
    window = geometry.window(w.shape[:3], strides, padding, dilations, data_format=data_format)
    if bias is not None and bias.shape != w.shape[4:]:
        raise ValueError(f"bias must be [{w.shape[4]}], one for each filter, got {bias.shape}.")
    kd, kh, kw, c, o = w.shape
    n, *sizes, channels = (length(x, axis) for axis in range(5))
    depth, rows, columns = (axis.out for axis in window.axes(*sizes))
    wide = widen(x) if x.dtype == tf.float16 else x  # bfloat16 has fast products of its own

    images = tf.reshape(wide, [n, sizes[0], sizes[1] * sizes[2], channels])
    images = unfold(images, *window.along(0, 1).over_columns())  # [N, D', H*W, kD*groups*C]
    images = swapped(images, kd, number)  # [N, D', H*W, groups*kD*C]
    images = tf.reshape(images, [n * depth, *sizes[1:], kd * channels])
    filters = tf.transpose(tf.cast(w, wide.dtype), [1, 2, 0, 3, 4])  # [kH, kW, kD, C, O]
    filters = tf.reshape(filters, [kh, kw, kd * c, o])
    options = window.along(1, 3)[1:]
    y = conv2d(images, filters, *options, bias=bias, relu=relu, algorithm=algorithm)
    shape = [n, depth, rows, columns, o]
    y = with_shape(tf.reshape(y, shape), shape)  # from [N*D', H', W', O]
    return tensors.restore(tf.cast(y, x.dtype), data_format)


def conv3d_transpose(
    x: tf.Tensor,
    w: tf.Tensor,
    output_shape: Sequence[Size] | tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NDHWC",
) -> tf.Tensor:
    """Spreads each value over a window and adds up; in place of `tf.nn.conv3d_transpose`.

    It is the gradient of a `conv3d` from volumes of `output_shape` to volumes of the shape of `x`,
    with the same filters and options.

    Args:
      x: `[N, D', H', W', C]` volumes; any of N, D', H', W' may be unknown.
      w: `[kD, kH, kW, O, C]` filters, laid out as for that `conv3d`.
      output_shape: `[N, D, H, W, groups*O]` in the order of `data_format`, or (D, H, W); ints or
        scalar tensors, or one tensor. Groups of the C channels are convolved apart if it asks for
        more than O channels.
      strides: An int, three ints or `[1, sD, sH, sW, 1]`.
      padding: "SAME", "VALID", or values cut off, a pair (before, after) for each axis.
      dilations: Distances of neighbouring taps, in the forms of `strides`.
      data_format: "NDHWC" or "NCDHW".

    Returns:
      `[N, D, H, W, groups*O]`. float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      ValueError: Ranks, channels, dtypes or options do not fit together, or no volume of
        `output_shape` has D'xH'xW' windows.

    Cost: N*D'*H'*W'*kD*kH*kW*C*O multiply-adds, by `conv2d_transpose` into kD*O channels, and one
    `fold` of them along the depth.
    """
    x = tensors.volumes(x, data_format)
    w = tensors.weights(w, "kD, kH, kW, O, C", x)
    window = geometry.window(w.shape[:3], strides, padding, dilations, data_format=data_format)
    kd, kh, kw, o, c = w.shape
    tensors.check_channels(x, c)
    sizes, channels = output_size(output_shape, data_format)
    number = number_of_groups(c, o, channels)
    check_positions(x, window, sizes)
    n, depth, rows, columns = (length(x, axis) for axis in range(4))

    images = tf.reshape(widen(x), [n * depth, rows, columns, c])
    filters = tf.transpose(widen(w), [1, 2, 0, 3, 4])  # [kH, kW, kD, O, C]
    filters = tf.reshape(filters, [kh, kw, kd * o, c])
    shape = [0, *sizes[1:], number * kd * o]  # the batch is not looked at
    y = conv2d_transpose(images, filters, shape, *window.along(1, 3)[1:])
    y = swapped(y, number, kd)  # [N*D', H, W, kD*groups*O]
    y = tf.reshape(y, [n, depth, math.prod(sizes[1:]), kd * number * o])
    size = sizes[0], math.prod(sizes[1:])
    y = fold(y, size, *window.along(0, 1).over_columns())  # [N, D, H*W, groups*O]
    shape = [n, *sizes, number * o]
    y = with_shape(tf.reshape(y, shape), shape)
    return tensors.restore(tf.cast(y, x.dtype), data_format)
