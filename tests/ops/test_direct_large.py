"""Results that are larger than the cache, which the compiled kernel writes past it."""

import oracle
import pytest
import tensorflow as tf
from shapes import random

from hw2 import ops
from hw2.ops.direct import norm

SIDE, WIDE = 420, 48  # in float32 34 MB, where 32 go past the cache; in bfloat16 twice as wide
ROWS = 280  # of images that count together with the results, 22 MB each
BOUNDS = {"float32": 5e-6, "bfloat16": 2**-7}


def drawn(*shape, dtype, seed=0):
    return tf.cast(random(*shape, seed=seed, dtype="float32"), dtype)


def wide(dtype):
    return WIDE * 4 // tf.as_dtype(dtype).size


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("algorithm", ["direct", "direct_winograd4"])
def test_convolution(algorithm, dtype):
    x = drawn(1, SIDE, SIDE, 3, dtype=dtype)
    w, b = drawn(3, 3, 3, wide(dtype), dtype=dtype, seed=1), drawn(wide(dtype), dtype=dtype, seed=2)
    y = ops.conv2d(x, w, bias=b, relu=True, algorithm=algorithm)
    expected = tf.nn.relu(
        tf.nn.conv2d(*(tf.cast(v, "float32") for v in (x, w)), 1, "SAME") + tf.cast(b, "float32")
    )
    assert oracle.error(tf.cast(y, "float32"), expected) < BOUNDS[dtype]


@pytest.mark.parametrize("dtype", BOUNDS)
def test_gradient_by_images_with_phases_that_no_tap_meets(dtype):
    dy = drawn(1, SIDE // 2, SIDE // 2, 3, dtype=dtype)
    w = drawn(1, 2, wide(dtype), 3, dtype=dtype, seed=1)
    with ops.algorithm("direct"):
        dx = ops.conv2d_transpose(dy, w, [1, SIDE, SIDE, wide(dtype)], 2)
    exact = tf.nn.conv2d_transpose(
        *(tf.cast(v, "float32") for v in (dy, w)), dx.shape, [1, 2, 2, 1], "SAME"
    )
    assert oracle.error(tf.cast(dx, "float32"), exact) < BOUNDS[dtype]


def with_gradient(op, x, dy):
    """The output and the gradient by images."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = op(x)
    return y, tape.gradient(y, x, dy)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("op", [ops.max_pool2d, ops.avg_pool2d])
def test_pools(op, dtype):
    x, dy = (drawn(1, ROWS, SIDE, wide(dtype), dtype=dtype, seed=seed) for seed in (0, 1))
    ours = with_gradient(lambda x: op(x, 3, 1, algorithm="direct"), x, dy)
    exact, exact_dy = tf.cast(x, "float32"), tf.cast(dy, "float32")
    theirs = with_gradient(lambda x: op(x, 3, 1, algorithm="native"), exact, exact_dy)
    for found, expected in zip(ours, theirs, strict=True):
        assert oracle.error(tf.cast(found, "float32"), expected) < BOUNDS[dtype]


def test_depthwise_convolution():
    x, dy = (drawn(1, ROWS, SIDE, WIDE, dtype="float32", seed=seed) for seed in (0, 1))
    w = drawn(3, 3, WIDE, 1, dtype="float32", seed=2)
    ours = with_gradient(lambda x: ops.depthwise_conv2d(x, w, algorithm="direct"), x, dy)
    theirs = with_gradient(lambda x: tf.nn.depthwise_conv2d(x, w, [1] * 4, "SAME"), x, dy)
    for found, expected in zip(ours, theirs, strict=True):
        assert oracle.error(found, expected) < BOUNDS["float32"]


@pytest.mark.parametrize("dtype", BOUNDS)
def test_batch_norm(dtype):
    x = drawn(1, SIDE, SIDE, wide(dtype), dtype=dtype)
    scale, offset = tf.ones([wide(dtype)]), tf.zeros([wide(dtype)])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y, _, _ = norm.batch_norm(x, scale, offset, epsilon=1e-3, relu=False)
    dx = tape.gradient(y, x, x * x)
    exact = tf.cast(x, "float64" if dtype == "float32" else "float32")
    with tf.GradientTape() as tape:
        tape.watch(exact)
        mean, variance = tf.nn.moments(exact, [0, 1, 2])
        expected = (exact - mean) / tf.sqrt(variance + 1e-3)
    by_x = tape.gradient(expected, exact, exact * exact)
    assert oracle.error(tf.cast(y, exact.dtype), expected) < BOUNDS[dtype]
    assert oracle.error(tf.cast(dx, exact.dtype), by_x) < 4 * BOUNDS[dtype]
