"""TensorFlow's own convolution: the baseline that the others are measured against."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops.geometry import Window
from hw2.ops.tensors import UNFINISHED, Finish


def conv2d(x: tf.Tensor, w: tf.Tensor, window: Window, finish: Finish = UNFINISHED) -> tf.Tensor:
    """Calls `tf.nn.conv2d`, with its limits: on a CPU, no gradients of groups, and none of
    dilated float64.

    Args:
      x: `[N, H, W, groups*C]`; any of N, H, W may be unknown.
      w: `[kH, kW, C, O]`, of the same dtype.
      window: Its kernel is (kH, kW).
      finish: What follows.

    Returns:
      `[N, H', W', O]`.
    """
    padding = window.padding
    if not isinstance(padding, str):
        padding = [(0, 0), *padding, (0, 0)]
    return finish(tf.nn.conv2d(x, w, window.strides, padding, dilations=window.dilations))
