"""Octave convolution: what it is made of, odd sizes, its first and last layer, refusals."""

import numpy as np
import oracle
import pytest
import tensorflow as tf
from shapes import FLOAT64, random

from hw2 import ops


def test_it_is_four_convolutions():
    high, low, w = random(2, 6, 8, 3), random(2, 3, 4, 2, seed=1), random(3, 3, 5, 4, seed=2)
    bias = random(4, seed=3)
    y_high, y_low = ops.octave_conv2d(high, low, w, 1, bias=bias)
    up = tf.image.resize(tf.nn.conv2d(low, w[:, :, 3:, :3], 1, "SAME"), [6, 8], "nearest")
    expected = tf.nn.conv2d(high, w[:, :, :3, :3], 1, "SAME") + tf.cast(up, tf.float64) + bias[:3]
    assert oracle.error(y_high, expected) < FLOAT64
    means = tf.nn.avg_pool2d(high, 2, 2, "VALID")
    expected = tf.nn.conv2d(means, w[:, :, :3, 3:], 1, "SAME") + bias[3]
    expected += tf.nn.conv2d(low, w[:, :, 3:, 3:], 1, "SAME")
    assert oracle.error(y_low, expected) < FLOAT64


def test_the_first_and_the_last_layer():
    x, w = random(2, 5, 7, 3), random(3, 3, 3, 4, seed=1)
    nothing = tf.zeros([2, 3, 4, 0], tf.float64)
    high, low = ops.octave_conv2d(x, nothing, w, 2)
    assert high.shape == [2, 5, 7, 2]
    assert low.shape == [2, 3, 4, 2]
    assert oracle.error(high, ops.conv2d(x, w[..., :2])) < FLOAT64
    y, none = ops.octave_conv2d(high, low, w[:, :, :1, :3] * tf.ones([1, 1, 4, 1], w.dtype), 0)
    assert y.shape == [2, 5, 7, 3]
    assert none.shape == [2, 3, 4, 0]
    y, _ = ops.octave_conv2d(x, nothing, w, 0)
    assert oracle.error(y, ops.conv2d(x, w)) < FLOAT64


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("side", range(1, 8))
def test_both_sizes_stay_in_step(side, stride):
    high, low = random(1, side, side, 1), random(1, -(-side // 2), -(-side // 2), 1)
    y_high, y_low = ops.octave_conv2d(high, low, random(3, 3, 2, 2), 1, stride)
    assert y_low.shape[1] == -(-y_high.shape[1] // 2)


HIGH, LOW, W = np.zeros([1, 5, 6, 3]), np.zeros([1, 3, 3, 2]), np.zeros([3, 3, 5, 4])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: ops.octave_conv2d(HIGH, LOW[:, :2], W, 1),
            r"low must have half the rows and columns of high, rounded up: shape \[1, 3, 3, 2\]",
        ),
        (
            lambda: ops.octave_conv2d(HIGH, LOW, W[:, :, :4], 1),
            r"w must have as many channels as high and low together, got 4 for 3 and 2",
        ),
        (lambda: ops.octave_conv2d(HIGH, LOW, W, 5), r"low_filters must be 0 to 4, .* got 5"),
        (
            lambda: ops.octave_conv2d(HIGH, np.float32(LOW), W, 1),
            r"high and low must have the same dtype, got float64 and float32",
        ),
        (
            lambda: ops.octave_conv2d(HIGH, LOW, W, 1, bias=np.zeros(3)),
            r"bias must be \[4\], one for each filter",
        ),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
