"""Convolutions large enough that the compiled kernel cuts them: into blocks, panels and slices."""

import oracle
import pytest
import tensorflow as tf
from shapes import random

from hw2 import ops

# Largest error of sums of some thousand terms, and of results rounded to 16 bits.
BOUNDS = {"float32": 1e-5, "bfloat16": 2**-7}
CASES = {
    "pixels 4 KB apart": ((1, 5, 7, 1024), (1, 1, 20), 1),
    "pixels 8 KB apart, in rows of fewer": ((1, 9, 13, 2048), (1, 1, 17), 1),
    "pixels of a frame 4 KB apart": ((1, 6, 5, 24), (3, 3, 1024), 2),
    "pixels of a frame 4 KB apart, without padding": ((1, 6, 5, 1024), (2, 3, 16), 1),
    "a last block of fewer channels": ((3, 9, 8, 40), (3, 3, 33), 1),
    "sums in blocks of channels": ((2, 7, 7, 144), (3, 3, 272), 2),
    "sums of one tap, in parts": ((1, 8, 9, 300), (1, 1, 280), 1),
    "few channels, panels in shares": ((2, 20, 21, 3), (5, 5, 80), 2),
    "phases that no tap meets": ((2, 9, 8, 20), (2, 1, 24), 3),
}


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", CASES)
def test_output_and_gradients(name, dtype):
    image, (rows, columns, filters), stride = CASES[name]
    padding = "VALID" if "without" in name else "SAME"
    x = tf.cast(random(*image), dtype)
    w = tf.cast(random(rows, columns, image[3], filters, seed=1), dtype)
    ours = _all(lambda x, w: ops.conv2d(x, w, stride, padding, algorithm="direct"), x, w)
    exact = [tf.cast(value, "float64") for value in (x, w)]
    expected = _all(lambda x, w: tf.nn.conv2d(x, w, stride, padding), *exact)
    for found, right in zip(ours, expected, strict=True):
        assert oracle.error(tf.cast(found, "float64"), right) < BOUNDS[dtype]


def _all(conv2d, x, w):
    """The output, and the gradients by images and by filters."""
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = conv2d(x, w)
    dy = tf.cast(random(*y.shape, seed=2), x.dtype)
    return [y, *tape.gradient(y, [x, w], dy)]


@pytest.mark.parametrize("kernel", [1, 3])
def test_images_without_channels_give_the_bias(kernel):
    x, w = tf.zeros([1, 5, 4, 0]), tf.zeros([kernel, kernel, 0, 3])
    y = ops.conv2d(x, w, bias=tf.constant([1.0, 2.0, 3.0]), algorithm="direct")
    assert y.numpy().tolist() == [[[[1, 2, 3]] * 4] * 5]
