"""Convolution by 1x1 windows: one matrix product, and no patches."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops.geometry import Window
from hw2.ops.tensors import UNFINISHED, Finish, length


def conv2d(x: tf.Tensor, w: tf.Tensor, window: Window, finish: Finish = UNFINISHED) -> tf.Tensor:
    """Multiplies each pixel by the filters.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      w: `[1, 1, C, O]`.
      window: 1x1, strides 1, no padding.
      finish: Applied to the result, over its last axis.

    Returns:
      `[N, H, W, O]`.

    Raises:
      ValueError: The window, padding, dtype or channels are others than above.

    Cost: N*H*W*C*O multiply-adds and no memory but the result's.
    """
    if reason := refusal(x, w, window):
        raise ValueError(f"pointwise must have {reason}.")
    c, o = w.shape[2:]
    n, height, width = (length(x, i) for i in range(3))
    y = tf.matmul(tf.reshape(x, [n * height * width, c]), tf.reshape(w, [c, o]))
    return tf.reshape(finish(y), [n, height, width, o])


def refusal(x: tf.Tensor, w: tf.Tensor, window: Window) -> str | None:
    """Says what this algorithm needs and these arguments lack; None where it can convolve them."""
    if x.dtype not in (tf.bfloat16, tf.float32, tf.float64):
        return f"bfloat16, float32 or float64, got {x.dtype.name}"
    if window.kernel != (1, 1) or window.strides != (1, 1):
        return f"a 1x1 window of stride 1, got {window}"
    if not isinstance(window.padding, str) and any(map(any, window.padding)):
        return f"no padding, got {window.padding}"
    if x.shape[3] != w.shape[2]:
        return f"one group of channels, got {x.shape[3]} channels for filters of {w.shape[2]}"
    return None
