"""Convolution as one matrix product: patches, reshape, matmul, reshape."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops import groups
from hw2.ops.geometry import Window
from hw2.ops.patches import unfold, unfold_columns
from hw2.ops.tensors import length, widen

FEW = 4  # channels, for which patches are laid out in columns; at 8 rows are faster


def conv2d(x: tf.Tensor, w: tf.Tensor, window: Window) -> tf.Tensor:
    """Multiplies the patch matrix of the images by the filter matrix.

    Args:
      x: `[N, H, W, groups*C]`; any of N, H, W may be unknown.
      w: `[kH, kW, C, O]`, of the same dtype.
      window: Its kernel is (kH, kW).

    Returns:
      `[N, H', W', O]`.

    Cost: N*H'*W'*kH*kW*C*O multiply-adds, in one product (one per group); the patches take
    kH*kW/(sH*sW) times the memory of `x`, and are kept for the gradient. The gradient by `w` is
    the patches transposed times `dy`, the one by `x` is `fold` of `dy` times `w` transposed.

    Source: Jia, "Learning Semantic Image Representations at a Large Scale", 2014 (Caffe).
    """
    _, _, c, o = w.shape
    number = x.shape[3] // c if c else 1
    if x.shape[3] <= FEW and number == 1:
        return tf.cast(_by_columns(widen(x), widen(w), window), x.dtype)
    patches = unfold(groups.to_batch(widen(x), number), *window)  # [groups*N, H', W', kH*kW*C]
    y = groups.pixel_matrix(patches, number) @ groups.filter_matrix(widen(w), number)
    n, height, width = (length(patches, axis) for axis in range(3))
    y = tf.reshape(y, [n, height, width, o // number])
    return tf.cast(groups.from_batch(y, number), x.dtype)


def _by_columns(x: tf.Tensor, w: tf.Tensor, window: Window) -> tf.Tensor:
    """The same from the transposed patch matrix, for pictures of few channels."""
    rows, columns = window.axes(length(x, 1), length(x, 2))
    y = tf.matmul(unfold_columns(x, window), groups.filter_matrix(w, 1), transpose_a=True)
    return tf.reshape(y, [length(x, 0), rows.out, columns.out, w.shape[3]])
