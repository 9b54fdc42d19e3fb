"""Octave convolution: a part of the channels at half the resolution."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.conv import conv2d
from hw2.ops.geometry import Pair
from hw2.ops.pool import avg_pool2d
from hw2.ops.tensors import length, widen, with_shape


def octave_conv2d(
    high: tf.Tensor,
    low: tf.Tensor,
    w: tf.Tensor,
    low_filters: int,
    strides: Pair = 1,
    dilations: Pair = 1,
    *,
    bias: tf.Tensor | None = None,
    algorithm: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Convolves images whose channels of low frequency have half the rows and columns.

    With `low` of no channels it divides images into both frequencies; with `low_filters` of 0 it
    joins them. Both at once are `conv2d`.

    Args:
      high: `[N, H, W, C]` images; any of N, H, W may be unknown.
      low: `[N, ceil(H/2), ceil(W/2), C']` images; C' may be 0.
      w: `[kH, kW, C + C', O]` filters: those of `high` first.
      low_filters: How many of the O filters, the last ones, give channels of low frequency.
      strides: An int, a pair or `[1, sH, sW, 1]`, of all convolutions; padding is "SAME", because
        only this keeps the two sizes in step.
      dilations: Distances of neighbouring taps, in the forms of `strides`.
      bias: `[O]`, added to every position.
      algorithm: As for `conv2d`.

    Returns:
      High, `[N, H', W', O - low_filters]`: `conv2d` of `high`, and that of `low` with each pixel
      repeated over a square of 2x2. Low, `[N, ceil(H'/2), ceil(W'/2), low_filters]`: `conv2d` of
      the means of 2x2 pixels of `high`, and that of `low`. Squares are cut at odd sizes, and means
      are taken of what is there. float16 and bfloat16 are computed in float32 and rounded once.

    Raises:
      ValueError: Ranks, channels, sizes, dtypes or options do not fit together.

    Cost: with the share a of low channels before and after, 1 - 3/4 a (2 - a) of the multiply-adds
    of `conv2d`; 0.44 for a of one half.

    Source: Chen et al., "Drop an Octave: Reducing Spatial Redundancy in Convolutional Neural
    Networks with Octave Convolution", 2019, arxiv.org/abs/1904.05049.
    """
    high = tensors.images(high)
    w = tensors.weights(w, "kH, kW, C + C', O", high)
    low = _low_images(low, high)
    c, of_low = high.shape[3], low.shape[3]
    if c is None or of_low is None or c + of_low != w.shape[2]:
        raise ValueError(
            f"w must have as many channels as high and low together, got {w.shape[2]} for {c} and "
            f"{of_low}."
        )
    filters = w.shape[3]
    if not 0 <= low_filters <= filters:
        raise ValueError(
            f"low_filters must be 0 to {filters}, the filters of w, got {low_filters}."
        )
    if bias is not None and bias.shape != w.shape[3:]:
        raise ValueError(f"bias must be [{filters}], one for each filter, got {bias.shape}.")
    kept = filters - low_filters
    window = geometry.window(w.shape[:2], strides, "SAME", dilations)
    dtype = high.dtype
    high, low, w = widen(high), widen(low), widen(w)
    bias = tf.zeros([filters], w.dtype) if bias is None else tf.cast(bias, w.dtype)

    def convolved(x: tf.Tensor, w: tf.Tensor, bias: tf.Tensor | None = None) -> tf.Tensor:
        return conv2d(x, w, *window[1:], bias=bias, algorithm=algorithm)

    y = convolved(high, w[:, :, :c, :kept], bias[:kept])
    if of_low:
        size = length(y, 1), length(y, 2)
        y += _doubled(convolved(low, w[:, :, c:, :kept]), *size)
    of_y = convolved(tf.concat([avg_pool2d(high, 2, 2), low], 3), w[..., kept:], bias[kept:])
    return tf.cast(y, dtype), tf.cast(of_y, dtype)


def _low_images(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """Converts the images of low frequency, and checks them against the others."""
    low = tensors.images(low)
    if low.dtype != high.dtype:
        raise ValueError(
            f"high and low must have the same dtype, got {high.dtype.name} and {low.dtype.name}."
        )
    expected = [high.shape[0], *(s and -(-s // 2) for s in high.shape[1:3])]
    if not low.shape[:3].is_compatible_with(expected):
        raise ValueError(
            f"low must have half the rows and columns of high, rounded up: shape "
            f"{[*expected, low.shape[3]]}, got {low.shape}."
        )
    return low


def _doubled(x: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Repeats each pixel over a square of 2x2, cut to (height, width)."""
    shape = [length(x, 0), height, width, x.shape[3]]
    return with_shape(tf.repeat(tf.repeat(x, 2, 1), 2, 2)[:, :height, :width], shape)
