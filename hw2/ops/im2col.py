"""Convolution as one matrix product: patches, reshape, matmul, reshape."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops.geometry import Window
from hw2.ops.patches import unfold
from hw2.ops.tensors import batch_to_groups, groups_to_batch, length, widen


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
    kh, kw, c, o = w.shape
    groups = x.shape[3] // c if c else 1
    patches = unfold(groups_to_batch(widen(x), groups), *window)  # [groups*N, H', W', kH*kW*C]
    n, height, width = (length(patches, axis) for axis in range(3))
    rows = n // groups * height * width
    matrix = tf.reshape(patches, [groups, rows, kh * kw * c])
    filters = tf.reshape(widen(w), [kh * kw * c, groups, o // groups])
    filters = tf.transpose(filters, [1, 0, 2])  # [groups, kH*kW*C, O/groups]
    y = tf.reshape(tf.matmul(matrix, filters), [n, height, width, o // groups])
    return tf.cast(batch_to_groups(y, groups), x.dtype)
