"""Layouts for groups of channels: in the batch axis of images, and as batches of matrices."""

from __future__ import annotations

import math

import tensorflow as tf

from hw2.ops.tensors import length, with_shape


def to_batch(x: tf.Tensor, groups: int) -> tf.Tensor:
    """Reshapes `[N, H, W, groups*C]` to `[groups*N, H, W, C]`."""
    if groups == 1:
        return x
    n, height, width, c = (length(x, axis) for axis in range(4))
    x = tf.reshape(x, [n, height, width, groups, c // groups])
    x = tf.transpose(x, [3, 0, 1, 2, 4])  # [groups, N, H, W, C]
    return tf.reshape(x, [groups * n, height, width, c // groups])


def from_batch(y: tf.Tensor, groups: int) -> tf.Tensor:
    """Reshapes `[groups*N, H, W, C]` to `[N, H, W, groups*C]`."""
    if groups == 1:
        return y
    n, height, width, c = (length(y, axis) for axis in range(4))
    y = tf.reshape(y, [groups, n // groups, height, width, c])
    y = tf.transpose(y, [1, 2, 3, 0, 4])  # [N, H, W, groups, C]
    return tf.reshape(y, [n // groups, height, width, groups * c])


def pixel_matrix(x: tf.Tensor, groups: int) -> tf.Tensor:
    """Lays one pixel in each row: `[N*H*W, C]`, or `[groups, N*H*W, C]` from `to_batch`."""
    n, height, width, c = (length(x, axis) for axis in range(4))
    rows = n // groups * height * width
    return tf.reshape(x, [rows, c] if groups == 1 else [groups, rows, c])


def filter_matrix(w: tf.Tensor, groups: int) -> tf.Tensor:
    """Lays one filter in each column: `[kH*kW*C, O]`, or `[groups, kH*kW*C, O/groups]`."""
    kh, kw, c, o = w.shape
    if groups == 1:
        return tf.reshape(w, [kh * kw * c, o])
    return tf.transpose(tf.reshape(w, [kh * kw * c, groups, o // groups]), [1, 0, 2])


def swapped(x: tf.Tensor, first: int, second: int) -> tf.Tensor:
    """Transposes channels that are `[..., first*second*C]` to `[..., second*first*C]`."""
    if 1 in (first, second):
        return x
    *outer, channels = (length(x, axis) for axis in range(x.shape.rank))
    parts = tf.reshape(x, [math.prod(outer), first, second, channels // (first * second)])
    shape = [*outer, channels]
    return with_shape(tf.reshape(tf.transpose(parts, [0, 2, 1, 3]), shape), shape)
