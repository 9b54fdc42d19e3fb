"""depthwise_conv2d and separable_conv2d: worked example, definition, TensorFlow, refusals."""

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapes import FLOAT32, FLOAT64, random

from hw2 import ops

both_ways = pytest.mark.parametrize("algorithm", ["slices", "direct"])


def test_each_channel_has_its_own_filters():
    x = tf.constant([[[[1.0, 10.0], [2.0, 20.0]]]])  # one row of two pixels, two channels
    w = tf.constant([[[[1.0, -1.0], [2.0, 3.0]]]])  # 1x1: times 1 and -1; times 2 and 3
    y = ops.depthwise_conv2d(x, w)
    assert y.numpy().tolist() == [[[[1, -1, 20, 30], [2, -2, 40, 60]]]]


@both_ways
@settings(deadline=None, max_examples=40)
@given(case=shapes.windows(), multiplier=st.integers(1, 3))
@example(case=shapes.LOPSIDED, multiplier=2)
def test_definition_and_adjoint(case, multiplier, algorithm):
    image, kernel, window = case
    x, w = random(*image), random(*kernel, image[3], multiplier, seed=1)
    y, (dx, dw), dy = shapes.gradients(
        lambda x, w: ops.depthwise_conv2d(x, w, **window, algorithm=algorithm), x, w
    )
    assert oracle.error(y, oracle.depthwise_conv2d(x.numpy(), w.numpy(), **window)) < FLOAT64
    expected = oracle.depthwise_conv2d_gradients(x.numpy(), w.numpy(), dy.numpy(), **window)
    assert oracle.error(dx, expected[0]) < FLOAT64
    assert oracle.error(dw, expected[1]) < FLOAT64
    shapes.check_adjoint(y, dy, (x, w), (dx, dw))


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("channels", [3, 16, 320])  # beside and at whole registers; in blocks
@pytest.mark.parametrize(
    "window",
    [{}, {"strides": (2, 2)}, {"padding": ((2, 0), (1, 3)), "dilations": (2, 3)}],
)
def test_kernel_in_the_dtypes_of_training(window, channels, multiplier):
    """In float32 whole registers are convolved in place; all else in frames."""
    rounded = [
        tf.cast(random(*shape, seed=seed), "bfloat16")  # which every dtype can hold
        for seed, shape in enumerate([(2, 21, 9, channels), (3, 3, channels, multiplier)])
    ]
    exact = [tf.cast(value, "float64").numpy() for value in rounded]
    truth = oracle.depthwise_conv2d(*exact, **window)
    rounded_dy = tf.cast(random(*truth.shape, seed=2), "bfloat16")
    exact_dy = tf.cast(rounded_dy, "float64").numpy()
    expected = [truth, *oracle.depthwise_conv2d_gradients(*exact, exact_dy, **window)]
    for dtype, bound in (("float32", FLOAT32), ("bfloat16", 2**-8)):
        x, w, dy = (tf.cast(value, dtype) for value in (*rounded, rounded_dy))
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = ops.depthwise_conv2d(x, w, **window, algorithm="direct")
        found = [y, *tape.gradient(y, [x, w], dy)]
        for ours, right in zip(found, expected, strict=True):
            assert ours.dtype == dtype
            assert oracle.error(tf.cast(ours, "float64"), right) < bound


@settings(deadline=None, max_examples=20)
@given(case=shapes.windows(), multiplier=st.integers(1, 3), filters=st.integers(0, 3))
@example(case=shapes.LOPSIDED, multiplier=1, filters=2)
def test_separable_is_depthwise_then_pointwise(case, multiplier, filters):
    image, kernel, window = case
    x, w = random(*image), random(*kernel, image[3], multiplier, seed=1)
    pointwise = random(1, 1, image[3] * multiplier, filters, seed=2)
    y, by_inputs, dy = shapes.gradients(
        lambda *inputs: ops.separable_conv2d(*inputs, **window), x, w, pointwise
    )
    middle = oracle.depthwise_conv2d(x.numpy(), w.numpy(), **window)
    matrix = pointwise.numpy()[0, 0]
    assert oracle.error(y, middle @ matrix) < FLOAT64
    of_middle = dy.numpy() @ matrix.T
    expected = oracle.depthwise_conv2d_gradients(x.numpy(), w.numpy(), of_middle, **window)
    assert oracle.error(by_inputs[0], expected[0]) < FLOAT64
    assert oracle.error(by_inputs[1], expected[1]) < FLOAT64
    of_pointwise = np.einsum("nijk,nijo->ko", middle, dy.numpy())
    assert oracle.error(by_inputs[2][0, 0], of_pointwise) < FLOAT64
    shapes.check_adjoint(y, dy, (x, w, pointwise), by_inputs)


@pytest.mark.parametrize(
    ("strides", "dilations", "padding"),
    [
        ([1, 1, 1, 1], [1, 1], "SAME"),
        ([1, 2, 2, 1], [1, 1], "VALID"),
        ([1, 1, 1, 1], [2, 3], "SAME"),
    ],
)
def test_they_take_the_place_of_tf_nn(strides, dilations, padding):
    x, w = random(2, 9, 10, 3, dtype=np.float32), random(3, 2, 3, 2, dtype=np.float32)
    y = ops.depthwise_conv2d(x, w, strides, padding, dilations)
    expected = tf.nn.depthwise_conv2d(x, w, strides, padding, dilations=dilations)
    assert oracle.error(y, expected) < FLOAT32
    p = random(1, 1, 6, 5, dtype=np.float32)
    y = ops.separable_conv2d(x, w, p, strides, padding, dilations)
    expected = tf.nn.separable_conv2d(x, w, p, strides, padding, dilations=dilations)
    assert oracle.error(y, expected) < FLOAT32


X = tf.zeros([1, 4, 4, 4])
W = tf.zeros([3, 3, 4, 1])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: ops.depthwise_conv2d(X, tf.zeros([3, 3, 2, 1])),
            r"x and w must have the same number of channels C, got 4 and 2",
        ),
        (
            lambda: ops.depthwise_conv2d(X, tf.zeros([3, 3, 4])),
            r"w must be \[kH, kW, C, M\] with known sizes, got shape \(3, 3, 4\)",
        ),
        (
            lambda: ops.depthwise_conv2d(X, tf.zeros([3, 3, 4, 0])),
            r"w must have at least one filter for each channel, got shape \(3, 3, 4, 0\)",
        ),
        (
            lambda: ops.depthwise_conv2d(X, W, algorithm="native"),
            "algorithm must be direct or slices, got 'native'",
        ),
        (
            lambda: tf.function(
                lambda: ops.depthwise_conv2d(X, W, algorithm="direct"), jit_compile=True
            )(),
            "direct must have a graph that XLA does not compile",
        ),
        (
            lambda: ops.separable_conv2d(X, tf.zeros([3, 3, 4, 2]), tf.zeros([1, 1, 4, 5])),
            r"pointwise must be \[1, 1, 8, O\], got shape \(1, 1, 4, 5\)",
        ),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
