"""Locally connected layers: convolution with different filters at every position."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.geometry import Padding, Pair
from hw2.ops.patches import unfold
from hw2.ops.tensors import length, widen


def locally_connected2d(
    x: tf.Tensor,
    w: tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
) -> tf.Tensor:
    """Convolves images with filters that are not shared between positions.

    Args:
      x: `[N, H, W, C]` images; any of N, H, W may be unknown.
      w: `[H', W', kH, kW, C, O]`: the filters of each position.
      strides: An int, a pair or `[1, sH, sW, 1]`.
      padding: "SAME", "VALID", or zeros ((top, bottom), (left, right)).
      dilations: Distances of neighbouring taps, in the forms of `strides`.
      data_format: "NHWC" or "NCHW".

    Returns:
      `[N, H', W', O]`. float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      ValueError: Ranks, channels, dtypes or options do not fit together, or the window does not
        have H'xW' positions.

    Cost: N*H'*W'*kH*kW*C*O multiply-adds, in H'*W' products; H'*W' times the weights of `conv2d`.

    Source: Taigman et al., "DeepFace: Closing the Gap to Human-Level Performance in Face
    Verification", 2014.
    """
    x = tensors.images(x, data_format)
    w = tensors.weights(w, "H', W', kH, kW, C, O", x)
    height, width, kh, kw, c, o = w.shape
    tensors.check_channels(x, c)
    window = geometry.window((kh, kw), strides, padding, dilations, data_format=data_format)
    for axis, of_w in zip(window.axes(length(x, 1), length(x, 2)), (height, width), strict=True):
        if isinstance(axis.out, int) and axis.out != of_w:
            raise ValueError(
                f"w must have filters for each of the {axis.out} positions over {axis.size} "
                f"pixels, got {of_w}."
            )
    patches = unfold(widen(x), *window)  # [N, H', W', kH*kW*C]
    filters = tf.reshape(widen(w), [height, width, kh * kw * c, o])
    y = tf.einsum("nijk,ijko->nijo", patches, filters)
    return tensors.restore(tf.cast(y, x.dtype), data_format)
