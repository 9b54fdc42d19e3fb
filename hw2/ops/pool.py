"""Pooling: the largest value or the mean under a window."""

from __future__ import annotations

import functools

import tensorflow as tf

from hw2.ops import conv, geometry, native, tensors
from hw2.ops.direct import options
from hw2.ops.direct import pool as direct
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
    algorithm: str | None = None,
) -> tf.Tensor:
    """Takes the largest value under each position of a window; in place of `tf.nn.max_pool2d`.

    The gradient goes to the first largest value in row order, as TensorFlow's on a CPU does, and
    is the same in every run.

    A NaN is larger than every number: a window with one has NaN, as in PyTorch, so that a fault is
    not lost on its way to the loss. It has no gradient. tf.nn on a CPU, and so "native", passes
    over it, and so do the layers of a network where there is no kernel in C++.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      kernel: Rows and columns of the window: an int, a pair or `[1, kH, kW, 1]`.
      strides: Steps of the window, in the same forms.
      padding: "SAME", "VALID", or pixels ((top, bottom), (left, right)) of minus infinity.
      dilations: Distances of neighbouring taps, in the same forms.
      data_format: "NHWC" or "NCHW".
      algorithm: "direct", a kernel in C++; "slices", TensorFlow operations on columns and then on
        rows; "native", `tf.nn` itself, which cannot do all; or None for "direct" where there is
        that kernel, and else "slices". Inside of `with algorithm("native")` None is "native".

    Returns:
      `[N, H', W', C]`; minus infinity where a window holds no pixel, which takes dilations or
      explicit padding.

    Raises:
      ValueError: An argument has another form, or the window does not fit into the image.

    Cost: kH*kW comparisons for each output, in one pass over memory; kH + kW by slices, in as many.
    """
    x = tensors.images(x, data_format)
    window = geometry.window(kernel, strides, padding, dilations, data_format=data_format)
    compute = {"direct": direct.max_pool2d, "slices": _max_pool2d, "native": native.max_pool2d}
    return tensors.restore(compute[_chosen(x, window, algorithm)](x, window), data_format)


def avg_pool2d(
    x: tf.Tensor,
    kernel: Pair,
    strides: Pair,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
    algorithm: str | None = None,
) -> tf.Tensor:
    """Takes the mean under each position of a window; in place of `tf.nn.avg_pool2d`.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      kernel: As for `max_pool2d`, and so are `strides`, `dilations`, `data_format` and `algorithm`.
      padding: "SAME", "VALID", or pixels ((top, bottom), (left, right)); they never count, as in
        TensorFlow. To have zeros count, `tf.pad` the images first.

    Returns:
      `[N, H', W', C]`; 0 where a window holds no pixel, which takes dilations or explicit padding.
      float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      ValueError: An argument has another form, or the window does not fit into the image.

    Cost: kH*kW additions for each output, in one pass over memory; kH + kW by slices, in as many.
    """
    x = tensors.images(x, data_format)
    window = geometry.window(kernel, strides, padding, dilations, data_format=data_format)
    compute = {"direct": direct.avg_pool2d, "slices": _avg_pool2d, "native": native.avg_pool2d}
    return tensors.restore(compute[_chosen(x, window, algorithm)](x, window), data_format)


def fastest_pool(x: tf.Tensor) -> str:
    """Names the algorithm that is the fastest for these images: "direct", or else "native".

    Inside of `with algorithm(...)` it is "native" but for those of the kernel.
    """
    return "direct" if conv.kernel_pays(x) else "native"


def _chosen(x: tf.Tensor, window: Window, algorithm: str | None) -> str:
    """Names what is taken."""
    names = ("direct", "slices", "native")
    if algorithm is None:
        if conv.default() == "native" and native.pools(x, window):
            return "native"
        return "direct" if conv.kernel_pays(x) else "slices"
    if algorithm not in names:
        raise ValueError(f"algorithm must be one of {', '.join(names)}, got {algorithm!r}.")
    if algorithm == "direct":
        options.check(x)
    return algorithm


def _max_pool2d(x: tf.Tensor, window: Window) -> tf.Tensor:
    """By slices: comparisons of whole images."""
    y = widen(x)
    outside = y.dtype.min if y.dtype.is_integer else float("-inf")
    for part in _columns_then_rows(window):
        y = _largest(*taps(y, part, outside))
    return tf.cast(y, x.dtype)


def _avg_pool2d(x: tf.Tensor, window: Window) -> tf.Tensor:
    """By slices: sums of whole images, and of ones."""
    y = widen(x)
    counts = tf.ones([1, length(x, 1), length(x, 2), 1], y.dtype)
    for part in _columns_then_rows(window):
        y, counts = tf.add_n(taps(y, part)), tf.add_n(taps(counts, part))
    return tf.cast(tf.math.divide_no_nan(y, counts), x.dtype)


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
