"""Pooling, as a stage."""

from __future__ import annotations

import tensorflow as tf


class MaxPool(tf.Module):
    """Largest value under each position of a window."""

    def __init__(self, kernel: int = 3, strides: int = 2):
        super().__init__()
        self.kernel, self.strides = kernel, strides

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, C]` to `[N, ceil(H/strides), ceil(W/strides), C]`."""
        return tf.nn.max_pool2d(x, self.kernel, self.strides, "SAME")
