"""TensorFlow's own ops: the baseline that the others are measured against."""

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
    padding = _padding(window)
    return finish(tf.nn.conv2d(x, w, window.strides, padding, dilations=window.dilations))


def max_pool2d(x: tf.Tensor, window: Window) -> tf.Tensor:
    """Calls `tf.nn.max_pool2d`; arguments as for `conv2d`.

    Raises:
      ValueError: The window has dilations, which TensorFlow's pools have not.
    """
    _check_dilations(window)
    return tf.nn.max_pool2d(x, window.kernel, window.strides, _padding(window))


def avg_pool2d(x: tf.Tensor, window: Window) -> tf.Tensor:
    """Calls `tf.nn.avg_pool2d`; arguments as for `conv2d`.

    Raises:
      ValueError: The window has dilations or explicit padding, which TensorFlow's has not.
    """
    _check_dilations(window)
    return tf.nn.avg_pool2d(x, window.kernel, window.strides, _padding(window))


def pools(x: tf.Tensor, window: Window) -> bool:
    """Whether both pools can do it."""
    return x.dtype.is_floating and window.dilations == (1, 1) and isinstance(window.padding, str)


def _padding(window: Window) -> str | list[tuple[int, int]]:
    if isinstance(window.padding, str):
        return window.padding
    return [(0, 0), *window.padding, (0, 0)]


def _check_dilations(window: Window) -> None:
    if window.dilations != (1, 1):
        raise ValueError(f"dilations of tf.nn's pools must be 1, got {window.dilations}.")
