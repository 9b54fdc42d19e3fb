"""depthwise_conv2d by the compiled kernel: no product of whole images is kept."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops.direct import library, options
from hw2.ops.geometry import Window
from hw2.ops.tensors import length, with_shape


def depthwise_conv2d(x: tf.Tensor, w: tf.Tensor, window: Window) -> tf.Tensor:
    """Convolves each channel with its own filters.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      w: `[kH, kW, C, M]`, of the same dtype.
      window: Its kernel is (kH, kW).

    Returns:
      `[N, H', W', C*M]`. float16 and bfloat16 are summed in float32 and rounded once.

    Cost: N*H'*W'*kH*kW*C*M multiply-adds, and no memory but the result's. The gradients are
    kernels too, and theirs are the three again.
    """
    rows, columns = window.axes(length(x, 1), length(x, 2))
    y = library.load().hw2_depthwise_conv2d(x, w, **options.of_window(window))
    return with_shape(y, [x.shape[0], rows.out, columns.out, w.shape[2] * w.shape[3]])


def _grad_input(w: tf.Tensor, dy: tf.Tensor, x: tf.Tensor, attributes: dict) -> tf.Tensor:
    """The gradient by `x`, of which only the shape counts."""
    size = options.image_size(x)
    dx = library.load().hw2_depthwise_conv2d_grad_input(w, dy, size, **attributes)
    return with_shape(dx, x.shape)


def _grad_filter(x: tf.Tensor, dy: tf.Tensor, w: tf.Tensor, attributes: dict) -> tf.Tensor:
    """The gradient by `w`, of which only the shape counts."""
    kernel = list(w.shape[:2])
    dw = library.load().hw2_depthwise_conv2d_grad_filter(x, dy, kernel=kernel, **attributes)
    return with_shape(dw, w.shape)


@tf.RegisterGradient("Hw2DepthwiseConv2D")
def _of_depthwise_conv2d(op: tf.Operation, dy: tf.Tensor):
    (x, w), attributes = op.inputs, options.of_op(op)
    return _grad_input(w, dy, x, attributes), _grad_filter(x, dy, w, attributes)


@tf.RegisterGradient("Hw2DepthwiseConv2DGradInput")
def _of_grad_input(op: tf.Operation, by_dx: tf.Tensor):
    (w, dy, _), attributes = op.inputs, options.of_op(op)
    by_dy = library.load().hw2_depthwise_conv2d(by_dx, w, **attributes)
    return _grad_filter(by_dx, dy, w, attributes), with_shape(by_dy, dy.shape), None


@tf.RegisterGradient("Hw2DepthwiseConv2DGradFilter")
def _of_grad_filter(op: tf.Operation, by_dw: tf.Tensor):
    (x, dy), attributes = op.inputs, options.of_op(op)
    by_dy = library.load().hw2_depthwise_conv2d(x, by_dw, **attributes)
    return _grad_input(by_dw, dy, x, attributes), with_shape(by_dy, dy.shape)
