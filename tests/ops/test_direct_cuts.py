"""Convolutions large enough that the compiled kernel cuts them: into blocks, panels and slices."""

import oracle
import pytest
import tensorflow as tf
from shapes import random

from hw2 import ops

# Largest error of sums of some thousand terms, and of results rounded to 16 bits.
BOUNDS = {"float32": 1e-5, "bfloat16": 2**-7}
TWO, THREE = {"strides": (2, 2)}, {"strides": (3, 3)}
CASES = {  # images, filters and window
    "pixels 4 KB apart": ((1, 5, 7, 1024), (1, 1, 1024, 20), {}),
    "pixels 8 KB apart, in rows of fewer": ((1, 9, 13, 2048), (1, 1, 2048, 17), {}),
    "pixels of a frame 4 KB apart": ((1, 6, 5, 24), (3, 3, 24, 1024), TWO),
    "pixels of a frame 4 KB apart, without padding": (
        (1, 6, 5, 1024),
        (2, 3, 1024, 16),
        {"padding": "VALID"},
    ),
    "a last block of fewer channels": ((3, 9, 8, 40), (3, 3, 40, 33), {}),
    "sums in blocks of channels": ((2, 7, 7, 144), (3, 3, 144, 272), TWO),
    "sums of one tap, in parts": ((1, 8, 9, 300), (1, 1, 300, 280), {}),
    "few channels, panels in shares": ((2, 20, 21, 3), (5, 5, 3, 80), TWO),
    "phases that no tap meets": ((2, 9, 8, 20), (2, 1, 20, 24), THREE),
    "two groups of whole registers": ((2, 9, 8, 64), (3, 3, 32, 64), {}),
    "four groups of whole registers": ((2, 9, 8, 64), (3, 3, 16, 64), {}),
    "dilated windows of whole registers": ((2, 9, 8, 64), (3, 3, 64, 64), {"dilations": (2, 2)}),
}


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients(name, dtype):
    image, filters, window = CASES[name]
    x, w = tf.cast(random(*image), dtype), tf.cast(random(*filters, seed=1), dtype)
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = ops.conv2d(x, w, **window, algorithm="direct")
    dy = tf.cast(random(*y.shape, seed=2), dtype)
    ours = [y, *tape.gradient(y, [x, w], dy)]
    exact, weights, errors = (tf.cast(value, "float64").numpy() for value in (x, w, dy))
    expected = [
        oracle.conv2d(exact, weights, **window),
        *oracle.conv2d_gradients(exact, weights, errors, **window),
    ]
    for found, right in zip(ours, expected, strict=True):
        assert oracle.error(tf.cast(found, "float64"), right) < BOUNDS[dtype]


@pytest.mark.parametrize("kernel", [1, 3])
def test_images_without_channels_give_the_bias(kernel):
    x, w = tf.zeros([1, 5, 4, 0]), tf.zeros([kernel, kernel, 0, 3])
    y = ops.conv2d(x, w, bias=tf.constant([1.0, 2.0, 3.0]), algorithm="direct")
    assert y.numpy().tolist() == [[[[1, 2, 3]] * 4] * 5]
