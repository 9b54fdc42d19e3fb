"""Convolution as one matrix product: patches, reshape, matmul, reshape."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hw2.ops import groups
from hw2.ops.geometry import Window
from hw2.ops.patches import unfold, unfold_columns
from hw2.ops.tensors import UNFINISHED, Finish, length, widen

FEW = 4  # up to so many channels patches are laid out in columns; from 8 on rows are faster


def conv2d(
    x: tf.Tensor,
    w: tf.Tensor,
    window: Window,
    finish: Finish = UNFINISHED,
    *,
    product: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> tf.Tensor:
    """Multiplies the patch matrix of the images by the filter matrix.

    Args:
      x: `[N, H, W, groups*C]`; any of N, H, W may be unknown.
      w: `[kH, kW, C, O]`, of the same dtype.
      window: Its kernel is (kH, kW).
      finish: Applied to the result, over its last axis.
      product: Multiplies the matrices, with gradients of its own; None for `tf.matmul`.

    Returns:
      `[N, H', W', O]`.

    Cost: N*H'*W'*kH*kW*C*O multiply-adds, in one product (one per group); the patches take
    kH*kW/(sH*sW) times the memory of `x`, and are kept for the gradient. The gradient by `w` is
    the patches transposed times `dy`, the one by `x` is `fold` of `dy` times `w` transposed.
    bfloat16 is multiplied as it is and summed in float32, at twice the speed where the CPU has
    such products; float16 is cast to float32 first.

    Source: Jia, "Learning Semantic Image Representations at a Large Scale", 2014 (Caffe).
    """
    dtype, c, o = x.dtype, w.shape[2], w.shape[3]
    if dtype != tf.bfloat16:
        x, w = widen(x), widen(w)
    number = x.shape[3] // c if c else 1
    rows, columns = window.axes(length(x, 1), length(x, 2))
    filters = groups.filter_matrix(w, number)
    if x.shape[3] <= FEW and number == 1 and product is None:
        y = _product(unfold_columns(x, window), filters, columns=True)
    else:
        patches = unfold(groups.to_batch(x, number), *window)  # [groups*N, H', W', kH*kW*C]
        y = (product or _product)(groups.pixel_matrix(patches, number), filters)
    if number == 1:
        y = finish(y)
    y = tf.reshape(y, [number * length(x, 0), rows.out, columns.out, o // number])
    y = groups.from_batch(y, number)
    return tf.cast(y if number == 1 else finish(y), dtype)


def _product(patches: tf.Tensor, filters: tf.Tensor, *, columns: bool = False) -> tf.Tensor:
    """Multiplies patches by filters; the gradient frees the patches before it allocates theirs.

    By default TensorFlow computes both gradients at once, and holds two patch matrices.
    """

    @tf.custom_gradient
    def apply(patches, filters):
        def grad(dy):
            by_filters = tf.matmul(patches, dy, transpose_a=not columns)
            with tf.control_dependencies([by_filters]):
                dy = tf.identity(dy)
            if columns:
                return tf.matmul(filters, dy, transpose_b=True), by_filters
            return tf.matmul(dy, filters, transpose_b=True), by_filters

        return tf.matmul(patches, filters, transpose_a=columns), grad

    return apply(patches, filters)
