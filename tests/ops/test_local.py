"""locally_connected2d: worked example, definition, shared filters, refusals."""

import oracle
import pytest
import shapes
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapes import FLOAT64, random

from hw2 import ops


def test_each_position_has_its_own_filter():
    x = tf.constant([[1.0, 2.0, 3.0]])[None, :, :, None]
    w = tf.reshape([1.0, 10.0, 100.0], [1, 3, 1, 1, 1, 1])
    assert ops.locally_connected2d(x, w).numpy().ravel().tolist() == [1, 20, 300]


@settings(deadline=None, max_examples=30)
@given(case=shapes.windows(), filters=st.integers(0, 3))
@example(case=shapes.LOPSIDED, filters=2)
def test_definition_and_adjoint(case, filters):
    image, kernel, window = case
    positions = oracle.positions(image[1:3], kernel, **window)
    x = random(*image)
    w = random(*positions, *kernel, image[3], filters, seed=1)
    y, (dx, dw), dy = shapes.gradients(lambda x, w: ops.locally_connected2d(x, w, **window), x, w)
    assert oracle.error(y, oracle.locally_connected2d(x.numpy(), w.numpy(), **window)) < FLOAT64
    expected = oracle.locally_connected2d_gradients(x.numpy(), w.numpy(), dy.numpy(), **window)
    assert oracle.error(dx, expected[0]) < FLOAT64
    assert oracle.error(dw, expected[1]) < FLOAT64
    shapes.check_adjoint(y, dy, (x, w), (dx, dw))


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_equal_filters_are_a_convolution(data_format):
    x, w = random(2, 7, 6, 3), random(3, 2, 3, 4)
    expected = ops.conv2d(x, w, 2)
    everywhere = tf.broadcast_to(w, [4, 3, *w.shape])
    if data_format == "NCHW":
        x, expected = (tf.transpose(v, [0, 3, 1, 2]) for v in (x, expected))
    y = ops.locally_connected2d(x, everywhere, 2, data_format=data_format)
    assert oracle.error(y, expected) < FLOAT64


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (
            [2, 4, 3, 3, 1, 1],
            r"w must have filters for each of the 4 positions over 4 pixels, got 2",
        ),
        ([4, 4, 3, 3, 2, 1], r"x and w must have the same number of channels C, got 1 and 2"),
        ([4, 4, 3, 3, 1], r"w must be \[H', W', kH, kW, C, O\] with known sizes"),
    ],
)
def test_refusals(shape, words):
    with pytest.raises(ValueError, match=words):
        ops.locally_connected2d(tf.zeros([1, 4, 4, 1]), tf.zeros(shape))
