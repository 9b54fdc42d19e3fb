"""Pooling layers."""

from __future__ import annotations

import tensorflow as tf

from hw2 import ops
from hw2.ops.geometry import Padding, Pair


class MaxPool(tf.Module):
    """Takes the largest value under each position of a window."""

    def __init__(self, kernel: int = 3, strides: int = 2, padding: Padding = "SAME"):
        """Keeps the options.

        Args:
          kernel: Side of the window; with "VALID" padding it is cut to the side of a smaller image.
          strides: Step of the window.
          padding: "SAME", "VALID", or pixels ((top, bottom), (left, right)), each less than the
            kernel.

        Raises:
          ValueError: There is so much padding that a window could lie wholly within it.
        """
        super().__init__()
        if not isinstance(padding, str) and max(map(max, padding)) >= kernel:
            raise ValueError(
                f"padding must be less than the kernel's {kernel} on each side, got {padding}."
            )
        self.kernel, self.strides, self.padding = kernel, strides, padding

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, C]` to `[N, H', W', C]`; "SAME" makes H' `ceil(H/strides)`."""
        algorithm = ops.fastest_pool(x)
        if training or isinstance(self.padding, str) or algorithm == "direct":
            kernel = _within(x, self.kernel, self.padding)
            return ops.max_pool2d(x, kernel, self.strides, self.padding, algorithm=algorithm)
        # Repeats the pixels of the edge, which those windows contain anyway: LiteRT has no explicit
        # padding, and 8-bit numbers no minus infinity.
        for axis, (before, after) in zip((1, 2), self.padding, strict=True):
            first, last = tf.split(x, [1, -1], axis)[0], tf.split(x, [-1, 1], axis)[1]
            x = tf.concat([first] * before + [x] + [last] * after, axis)
        return ops.max_pool2d(x, self.kernel, self.strides, "VALID", algorithm=algorithm)


class AvgPool(tf.Module):
    """Takes the mean under each position of a window; padding is not counted."""

    def __init__(self, kernel: int = 2, strides: int = 2, padding: str = "SAME"):
        """Keeps the options; arguments as for `MaxPool`, but padding is not explicit."""
        super().__init__()
        self.kernel, self.strides, self.padding = kernel, strides, padding

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, C]` to `[N, H', W', C]`; "SAME" makes H' `ceil(H/strides)`."""
        kernel = _within(x, self.kernel, self.padding)
        algorithm = ops.fastest_pool(x)
        return ops.avg_pool2d(x, kernel, self.strides, self.padding, algorithm=algorithm)


def global_mean(
    x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
) -> tf.Tensor:
    """Maps `[N, H, W, C]` to `[N, C]`, the mean over all positions; a stage for `Sequential`.

    Signals `[N, W, C]` and volumes `[N, D, H, W, C]` too.
    """
    return tf.reduce_mean(x, list(range(1, len(x.shape) - 1)))


def _within(x: tf.Tensor, kernel: int, padding: Padding) -> Pair:
    """The window, cut to the picture where nothing is padded."""
    return [min(kernel, side) for side in x.shape[1:3]] if padding == "VALID" else kernel
