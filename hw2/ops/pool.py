"""Pooling: the largest value or the mean under a window, by columns and then by rows."""

from __future__ import annotations

import functools

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.geometry import Padding, Pair, Window
from hw2.ops.patches import taps
from hw2.ops.tensors import length, widen


def max_pool2d(
    x: tf.Tensor,
    kernel: Pair,
    strides: Pair,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
) -> tf.Tensor:
    """Takes the largest value under each position of a window; in place of `tf.nn.max_pool2d`.

    The gradient goes to the first largest value in row order, as TensorFlow's on a CPU does, and
    is the same in every run.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      kernel: Rows and columns of the window: an int, a pair or `[1, kH, kW, 1]`.
      strides: Steps of the window, in the same forms.
      padding: "SAME", "VALID", or pixels ((top, bottom), (left, right)) of minus infinity.
      dilations: Distances of neighbouring taps, in the same forms.
      data_format: "NHWC" or "NCHW".

    Returns:
      `[N, H', W', C]`; minus infinity where a window holds no pixel, which takes dilations or
      explicit padding.

    Raises:
      ValueError: An argument has another form, or the window does not fit into the image.

    Cost: kH + kW comparisons for each output.
    """
    x = tensors.images(x, data_format)
    window = geometry.window(kernel, strides, padding, dilations, data_format=data_format)
    y = widen(x)
    outside = y.dtype.min if y.dtype.is_integer else float("-inf")
    for part in _columns_then_rows(window):
        y = _largest(*taps(y, part, outside))
    return tensors.restore(tf.cast(y, x.dtype), data_format)


def avg_pool2d(
    x: tf.Tensor,
    kernel: Pair,
    strides: Pair,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
) -> tf.Tensor:
    """Takes the mean under each position of a window; in place of `tf.nn.avg_pool2d`.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      kernel: As for `max_pool2d`, and so are `strides`, `dilations` and `data_format`.
      padding: "SAME", "VALID", or pixels ((top, bottom), (left, right)); they never count, as in
        TensorFlow. To have zeros count, `tf.pad` the images first.

    Returns:
      `[N, H', W', C]`; 0 where a window holds no pixel, which takes dilations or explicit padding.
      float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      ValueError: An argument has another form, or the window does not fit into the image.

    Cost: kH + kW additions for each output.
    """
    x = tensors.images(x, data_format)
    window = geometry.window(kernel, strides, padding, dilations, data_format=data_format)
    y = widen(x)
    counts = tf.ones([1, length(x, 1), length(x, 2), 1], y.dtype)
    for part in _columns_then_rows(window):
        y, counts = tf.add_n(taps(y, part)), tf.add_n(taps(counts, part))
    y = tf.math.divide_no_nan(y, counts)  # [N, H', W', C]
    return tensors.restore(tf.cast(y, x.dtype), data_format)


def _columns_then_rows(window: Window) -> tuple[Window, Window]:
    """Two windows of one row and of one column that do the work of one."""
    (kh, kw), (sh, sw), padding, (dh, dw) = window
    of_columns = of_rows = padding
    if not isinstance(padding, str):
        of_columns, of_rows = ((0, 0), padding[1]), (padding[0], (0, 0))
    return (
        Window((1, kw), (1, sw), of_columns, (1, dw)),
        Window((kh, 1), (sh, 1), of_rows, (dh, 1)),
    )


@tf.custom_gradient
def _largest(*parts: tf.Tensor):
    """The largest of tensors of one shape; the gradient goes to the first that has it."""
    y = functools.reduce(tf.maximum, parts)

    def grad(dy):
        zeros = tf.zeros_like(dy)
        free = tf.ones_like(dy, tf.bool)  # outputs whose gradient has not found its tensor yet
        gradients = []
        for part in parts:
            first = free & (part == y)
            free &= ~first
            # not tf.where, which broadcasts and takes twice as long
            gradients.append(tf.raw_ops.Select(condition=first, x=dy, y=zeros))
        return gradients

    return y, grad
