"""Convolution of each channel by itself, and its product with a 1x1 convolution."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.conv import conv2d, kernel_pays
from hw2.ops.direct import depthwise as direct
from hw2.ops.direct import options
from hw2.ops.geometry import Padding, Pair, Window
from hw2.ops.patches import taps
from hw2.ops.tensors import length, widen


def depthwise_conv2d(
    x: tf.Tensor,
    w: tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
    algorithm: str | None = None,
) -> tf.Tensor:
    """Convolves each channel with its own filters; in place of `tf.nn.depthwise_conv2d`.

    Args:
      x: `[N, H, W, C]` images; any of N, H, W may be unknown.
      w: `[kH, kW, C, M]`: M filters for each channel.
      strides: An int, a pair or `[1, sH, sW, 1]`; unlike TensorFlow's they may differ.
      padding: "SAME", "VALID", or zeros ((top, bottom), (left, right)).
      dilations: Distances of neighbouring taps, in the forms of `strides`.
      data_format: "NHWC" or "NCHW".
      algorithm: "direct", a kernel in C++; "slices", TensorFlow operations on whole images; or
        None for "direct" where there is that kernel, and else "slices".

    Returns:
      `[N, H', W', C*M]`, the M results of a channel side by side. float16 and bfloat16 are
      summed in float32 and rounded once.

    Raises:
      ValueError: Ranks, channels, dtypes or options do not fit together.

    Cost: N*H'*W'*kH*kW*C*M multiply-adds, in one pass over memory; by slices they are kH*kW
    products of an image and a row, and kH*kW images are kept for the gradient.

    Source: Sifre, "Rigid-motion scattering for image classification", 2014.
    """
    x = tensors.images(x, data_format)
    w = tensors.weights(w, "kH, kW, C, M", x)
    kh, kw, c, m = w.shape
    tensors.check_channels(x, c)
    if m == 0:
        raise ValueError(f"w must have at least one filter for each channel, got shape {w.shape}.")
    window = geometry.window((kh, kw), strides, padding, dilations, data_format=data_format)
    if algorithm not in (None, "direct", "slices"):
        raise ValueError(f"algorithm must be direct or slices, got {algorithm!r}.")
    if algorithm == "direct" or (algorithm is None and kernel_pays(x)):
        options.check(x)
        y = direct.depthwise_conv2d(x, w, window)
    else:
        y = _by_slices(x, w, window)
    return tensors.restore(y, data_format)


def _by_slices(x: tf.Tensor, w: tf.Tensor, window: Window) -> tf.Tensor:
    """Sums products of whole images, as each tap reads them, and rows of weights."""
    kh, kw, c, m = w.shape
    images = taps(widen(x), window)  # each [N, H', W', C]
    rows = tf.unstack(tf.reshape(widen(w), [kh * kw, c, m]))
    results = [
        tf.add_n([image * row[:, k] for image, row in zip(images, rows, strict=True)])
        for k in range(m)
    ]
    y = tf.stack(results, 4) if m > 1 else results[0]  # [N, H', W', C, M]
    n, height, width = (length(y, axis) for axis in range(3))
    return tf.cast(tf.reshape(y, [n, height, width, c * m]), x.dtype)


def separable_conv2d(
    x: tf.Tensor,
    depthwise: tf.Tensor,
    pointwise: tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
) -> tf.Tensor:
    """A `depthwise_conv2d`, then a 1x1 `conv2d`; in place of `tf.nn.separable_conv2d`.

    Args:
      x: `[N, H, W, C]` images; any of N, H, W may be unknown.
      depthwise: `[kH, kW, C, M]`.
      pointwise: `[1, 1, C*M, O]`.
      strides: As for `depthwise_conv2d`, and so are `padding`, `dilations` and `data_format`.

    Returns:
      `[N, H', W', O]`. float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      ValueError: Ranks, channels, dtypes or options do not fit together.

    Cost: N*H'*W'*(kH*kW*C*M + C*M*O) multiply-adds.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions", 2017,
    arxiv.org/abs/1610.02357.
    """
    x = tensors.images(x, data_format)
    depthwise = tensors.weights(depthwise, "kH, kW, C, M", x, "depthwise")
    pointwise = tensors.weights(pointwise, "1, 1, C*M, O", x, "pointwise")
    middle = depthwise.shape[2] * depthwise.shape[3]
    if pointwise.shape[:3] != [1, 1, middle]:
        raise ValueError(f"pointwise must be [1, 1, {middle}, O], got shape {pointwise.shape}.")
    window = geometry.window(
        depthwise.shape[:2], strides, padding, dilations, data_format=data_format
    )
    y = depthwise_conv2d(widen(x), widen(depthwise), *window[1:])
    y = conv2d(y, widen(pointwise))
    return tensors.restore(tf.cast(y, x.dtype), data_format)
