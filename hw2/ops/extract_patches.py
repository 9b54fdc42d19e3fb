"""Convolution in TensorFlow's own words: extract_patches, reshape, matmul, reshape."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops import groups
from hw2.ops.geometry import Window
from hw2.ops.patches import fold
from hw2.ops.tensors import UNFINISHED, Finish, length, widen


def conv2d(x: tf.Tensor, w: tf.Tensor, window: Window, finish: Finish = UNFINISHED) -> tf.Tensor:
    """Multiplies the patches that `tf.image.extract_patches` makes by the filters.

    Args:
      x: `[N, H, W, groups*C]`; any of N, H, W may be unknown.
      w: `[kH, kW, C, O]`, of the same dtype.
      window: Its kernel is (kH, kW).
      finish: What follows.

    Returns:
      `[N, H', W', O]`.

    Cost: that of `im2col`, whose patches are the same, but are made and put back faster. Here is
    the version of the textbook, to read and to train with.
    """
    dtype, c, o = x.dtype, w.shape[2], w.shape[3]
    if dtype != tf.bfloat16:  # whose products are summed in float32
        x, w = widen(x), widen(w)
    number = x.shape[3] // c if c else 1
    rows, columns = window.axes(length(x, 1), length(x, 2))
    patches = _patches(groups.to_batch(x, number), window)  # [groups*N, H', W', kH*kW*C]
    y = tf.matmul(groups.pixel_matrix(patches, number), groups.filter_matrix(w, number))
    y = tf.reshape(y, [number * length(x, 0), rows.out, columns.out, o // number])
    return tf.cast(finish(groups.from_batch(y, number)), dtype)


def _patches(x: tf.Tensor, window: Window) -> tf.Tensor:
    """`tf.image.extract_patches`, with `fold` for its gradient.

    TensorFlow's gradient numbers pixels in float32, which is wrong past 2^24 of them.
    """
    image_size = (length(x, 1), length(x, 2))
    kernel, strides, padding, dilations = window
    sizes = [[1, *pair, 1] for pair in (kernel, strides, dilations)]

    @tf.custom_gradient
    def apply(x):
        def grad(dy):
            return fold(dy, image_size, *window)

        if isinstance(padding, str):
            return tf.image.extract_patches(x, *sizes, padding), grad
        padded = tf.pad(x, [[0, 0], *padding, [0, 0]])
        return tf.image.extract_patches(padded, *sizes, "VALID"), grad

    return apply(x)
