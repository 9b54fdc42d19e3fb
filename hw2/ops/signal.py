"""Convolution of signals, as of images of one row, and its adjoint."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.conv import conv2d
from hw2.ops.geometry import Padding, Pair, Size
from hw2.ops.transpose import conv2d_transpose, output_size


def conv1d(
    x: tf.Tensor,
    w: tf.Tensor,
    stride: Pair = 1,
    padding: Padding | Sequence[int] = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NWC",
    bias: tf.Tensor | None = None,
    relu: bool = False,
    algorithm: str | None = None,
) -> tf.Tensor:
    """Convolves signals with filters, as images of one row; in place of `tf.nn.conv1d`.

    Args:
      x: `[N, W, groups*C]` signals; N and W may be unknown.
      w: `[kW, C, O]` filters.
      stride: An int or `[1, sW, 1]`.
      padding: "SAME", "VALID", or zeros (left, right).
      dilations: In the forms of `stride`.
      data_format: "NWC", or "NCW" for `[N, C, W]` in and out.
      bias: `[O]`, added to every position, as for `conv2d`, and so are `relu` and `algorithm`.
      relu: Whether negative results become 0.
      algorithm: By which the images of one row are convolved.

    Returns:
      `[N, W', O]`.

    Raises:
      ValueError: As `conv2d`.
    """
    x = tensors.signals(x, data_format)
    w = tensors.weights(w, "kW, C, O", x)
    window = geometry.window(w.shape[:1], stride, padding, dilations, data_format=data_format)
    options = window.over_row()[1:]
    y = conv2d(x[:, None], w[None], *options, bias=bias, relu=relu, algorithm=algorithm)
    return tensors.restore(y[:, 0], data_format)  # from [N, 1, W', O]


def conv1d_transpose(
    x: tf.Tensor,
    w: tf.Tensor,
    output_shape: Size | Sequence[Size] | tf.Tensor,
    strides: Pair = 1,
    padding: Padding | Sequence[int] = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NWC",
) -> tf.Tensor:
    """Spreads each value over a window and adds up; in place of `tf.nn.conv1d_transpose`.

    It is the gradient of a `conv1d` from signals of `output_shape` to signals of the shape of `x`.

    Args:
      x: `[N, W', C]` signals; N and W' may be unknown.
      w: `[kW, O, C]` filters, laid out as for that `conv1d`.
      output_shape: `[N, W, groups*O]` in the order of `data_format`, or W.
      strides: An int or `[1, sW, 1]`.
      padding: "SAME", "VALID", or values cut off (left, right).
      dilations: In the forms of `strides`.
      data_format: "NWC" or "NCW".

    Returns:
      `[N, W, groups*O]`. float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      ValueError: As `conv2d_transpose`.
    """
    x = tensors.signals(x, data_format)
    w = tensors.weights(w, "kW, O, C", x)
    window = geometry.window(w.shape[:1], strides, padding, dilations, data_format=data_format)
    sizes, channels = output_size(output_shape, data_format)
    shape = [1, *sizes] if channels is None else [0, 1, *sizes, channels]  # batch is not looked at
    y = conv2d_transpose(x[:, None], w[None], shape, *window.over_row()[1:])  # [N, 1, W, O]
    return tensors.restore(y[:, 0], data_format)
