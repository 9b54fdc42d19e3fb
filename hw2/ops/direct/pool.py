"""Pooling by the compiled kernel: one pass over memory forward, and one back."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops.direct import library, options
from hw2.ops.geometry import Window
from hw2.ops.tensors import length, with_shape

_BYTE = 255  # taps that a byte can number, and one number for "none of them"


def max_pool2d(x: tf.Tensor, window: Window) -> tf.Tensor:
    """Takes the largest value under each position of a window.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      window: What slides over the images.

    Returns:
      `[N, H', W', C]`; minus infinity where a window holds no pixel.

    Cost: kH*kW comparisons for each output. For the gradient a byte is kept for each, the number
    of the tap; four bytes for windows of 255 taps or more.
    """
    index = tf.uint8 if window.kernel[0] * window.kernel[1] < _BYTE else tf.int32
    attributes = options.of_window(window) | {"kernel": window.kernel}
    y, _ = library.load().hw2_max_pool(x, I=index, **attributes)
    return _with_positions(y, x, window)


def avg_pool2d(x: tf.Tensor, window: Window) -> tf.Tensor:
    """Takes the mean under each position of a window; arguments as for `max_pool2d`.

    Returns:
      `[N, H', W', C]`; 0 where a window holds no pixel. float16 and bfloat16 are summed in float32
      and rounded once.

    Cost: kH*kW additions for each output; nothing is kept for the gradient.
    """
    attributes = options.of_window(window) | {"kernel": window.kernel}
    return _with_positions(library.load().hw2_avg_pool(x, **attributes), x, window)


def _with_positions(y: tf.Tensor, x: tf.Tensor, window: Window) -> tf.Tensor:
    rows, columns = window.axes(length(x, 1), length(x, 2))
    return with_shape(y, [x.shape[0], rows.out, columns.out, x.shape[3]])


@tf.RegisterGradient("Hw2MaxPool")
def _of_max_pool(op: tf.Operation, dy: tf.Tensor, _):
    x, where = op.inputs[0], op.outputs[1]
    dx = library.load().hw2_max_pool_grad(dy, where, options.image_size(x), **_attributes(op))
    return with_shape(dx, x.shape)


@tf.RegisterGradient("Hw2MaxPoolGrad")
def _of_max_pool_grad(op: tf.Operation, by_dx: tf.Tensor):
    dy, where, _ = op.inputs
    y = library.load().hw2_max_pool_find(by_dx, where, **_attributes(op))
    return with_shape(y, dy.shape), None, None


@tf.RegisterGradient("Hw2MaxPoolFind")
def _of_max_pool_find(op: tf.Operation, dy: tf.Tensor):
    x, where = op.inputs
    dx = library.load().hw2_max_pool_grad(dy, where, options.image_size(x), **_attributes(op))
    return with_shape(dx, x.shape), None


@tf.RegisterGradient("Hw2AvgPool")
def _of_avg_pool(op: tf.Operation, dy: tf.Tensor):
    x = op.inputs[0]
    dx = library.load().hw2_avg_pool_grad(dy, options.image_size(x), **_attributes(op))
    return with_shape(dx, x.shape)


@tf.RegisterGradient("Hw2AvgPoolGrad")
def _of_avg_pool_grad(op: tf.Operation, by_dx: tf.Tensor):
    y = library.load().hw2_avg_pool(by_dx, **_attributes(op))
    return with_shape(y, op.inputs[0].shape), None


def _attributes(op: tf.Operation) -> dict:
    return options.of_op(op) | {"kernel": op.get_attr("kernel")}
