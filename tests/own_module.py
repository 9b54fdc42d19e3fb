"""The text of a user's module: a convolution, a product, and what goes wrong in such modules."""

TEXT = """
import tensorflow as tf

from hw2 import ops


def conv2d(x, w, strides, padding, dilations):
    patches = ops.unfold(x, w.shape[:2], strides, padding, dilations)
    return tf.tensordot(patches, tf.reshape(w, [-1, w.shape[3]]), 1)


def matmul(a, b):
    return tf.cast(tf.round(64 * (a @ b)) / 64, a.dtype)


def two_arguments(x, w):
    return x


def another_shape(x, w, strides, padding, dilations):
    return x[:, ::2]


def another_dtype(x, w, strides, padding, dilations):
    return tf.cast(conv2d(x, w, strides, padding, dilations), tf.float64)


def nothing(x, w, strides, padding, dilations):
    pass


def raises(x, w, strides, padding, dilations):
    return x @ w


def constant(x, w, strides, padding, dilations):
    return tf.stop_gradient(conv2d(x, w, strides, padding, dilations))


def doubled(x, w, strides, padding, dilations):
    return 2 * conv2d(x, w, strides, padding, dilations)
"""
