"""Batch normalization by the compiled kernel: its definition, its gradients, odd sizes."""

import numpy as np
import oracle
import pytest
import tensorflow as tf

from hw2.ops.direct import norm

EPSILON = 1e-3
FLOAT32 = 3e-6  # sums of at most 5,000 terms, in blocks of 100
BFLOAT16 = 2**-8  # one rounding


def by_definition(x, scale, offset, relu):
    """In float64, with the gradients that TensorFlow finds."""
    mean, variance = tf.nn.moments(x, [0, 1, 2])
    y = (x - mean) / tf.sqrt(variance + EPSILON) * scale + offset
    return tf.where(y > 0, y, 0) if relu else y


def drawn(shape, dtype):
    rng = np.random.default_rng(0)
    x = 100 + 2 * rng.standard_normal(shape)  # a mean far from 0 must not cost the variance
    of_channels = [rng.uniform(0.5, 2, shape[3]), rng.standard_normal(shape[3])]
    inputs = [tf.cast(x, dtype), *(tf.constant(v, tf.float32) for v in of_channels)]
    return inputs, tf.cast(rng.standard_normal(shape), dtype)


def kernel(inputs, dy, relu):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y, mean, variance = norm.batch_norm(*inputs, epsilon=EPSILON, relu=relu)
    return [y, *tape.gradient(y, inputs, dy)], mean, variance


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
# channels below, at and beside whole registers; a pixel; several blocks in each slice
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 5, 7, 64), (1, 1, 1, 16), (2, 41, 50, 83)])
def test_definition_and_gradients(shape, dtype, relu):
    inputs, dy = drawn(shape, dtype)
    exact = [tf.cast(value, tf.float64) for value in inputs]
    bound = FLOAT32 * 30 if dtype == "float32" else BFLOAT16  # 30: x is 50 deviations from 0
    y = by_definition(*exact, False)
    dy = tf.where(tf.abs(y) > bound * tf.reduce_max(tf.abs(y)), dy, 0)  # else signs are uncertain
    ours, mean, variance = kernel(inputs, dy, relu)
    with tf.GradientTape() as tape:
        tape.watch(exact)
        y = by_definition(*exact, relu)
    truth = [y, *tape.gradient(y, exact, tf.cast(dy, tf.float64))]
    np.testing.assert_allclose(mean, tf.reduce_mean(exact[0], [0, 1, 2]), rtol=1e-6)
    np.testing.assert_allclose(variance, tf.math.reduce_variance(exact[0], [0, 1, 2]), rtol=1e-5)
    assert ours[0].dtype == ours[1].dtype == dtype
    for found, expected in zip(ours, truth, strict=True):
        assert oracle.error(tf.cast(found, tf.float64), expected) < bound


def test_relu_passes_errors_exactly_where_its_result_is_positive():
    inputs, dy = drawn((4, 9, 9, 20), "float32")
    y = kernel(inputs, dy, True)[0][0]
    by_offset = kernel(inputs, dy, True)[0][3]
    np.testing.assert_allclose(by_offset, tf.reduce_sum(tf.where(y > 0, dy, 0), [0, 1, 2]), 1e-4)


def test_no_image_has_no_mean():
    inputs = [tf.zeros([0, 4, 4, 3]), tf.ones([3]), tf.zeros([3])]
    (y, dx, by_scale, by_offset), mean, _ = kernel(inputs, tf.zeros([0, 4, 4, 3]), True)
    assert y.shape == dx.shape == (0, 4, 4, 3)
    assert np.isnan(mean).all()
    assert not np.any([by_scale, by_offset])


def test_what_is_not_a_number_stays_in_its_channel():
    (x, scale, offset), _ = drawn((2, 3, 3, 20), "float32")
    x = tf.tensor_scatter_nd_update(x, [[1, 2, 0, 7]], [np.nan])
    y, mean, _ = norm.batch_norm(x, scale, offset, epsilon=EPSILON, relu=True)
    bad = np.isnan(y).any(axis=(0, 1, 2))
    assert list(np.flatnonzero(bad)) == [7] == list(np.flatnonzero(np.isnan(mean)))
