"""conv2d_transpose: worked example, definition, TensorFlow, sizes known late, refusals."""

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapes import FLOAT32, FLOAT64, random

from hw2 import ops


def test_each_pixel_is_spread_over_a_window():
    x = tf.constant([[1.0, 2.0]])[None, :, :, None]
    w = tf.constant([[1.0, 10.0, 100.0]])[:, :, None, None]
    y = ops.conv2d_transpose(x, w, (1, 5), strides=(1, 2), padding="VALID")
    assert y[0, ..., 0].numpy().tolist() == [[1, 10, 102, 20, 200]]


@settings(deadline=None, max_examples=40)
@given(case=shapes.windows(), groups=st.integers(1, 3), filters=st.integers(1, 3))
@example(case=shapes.LOPSIDED, groups=2, filters=1)
def test_definition_and_adjoint(case, groups, filters):
    (n, *size, o), kernel, window = case
    positions = oracle.positions(size, kernel, **window)
    x = random(n, *positions, groups * filters)
    w = random(*kernel, o, groups * filters, seed=1)
    shape = (n, *size, groups * o)
    y, (dx, dw), dy = shapes.gradients(
        lambda x, w: ops.conv2d_transpose(x, w, shape, **window), x, w
    )
    x_, w_, dy_ = x.numpy(), w.numpy(), dy.numpy()
    assert oracle.error(y, oracle.conv2d_transpose(x_, w_, shape[1:], **window)) < FLOAT64
    assert oracle.error(dx, oracle.conv2d(dy_, w_, **window)) < FLOAT64
    assert oracle.error(dw, oracle.conv2d_gradients(dy_, w_, x_, **window)[1]) < FLOAT64
    shapes.check_adjoint(y, dy, (x, w), (dx, dw))


def test_it_is_the_gradient_of_conv2d():
    z, w = random(2, 9, 8, 3), random(3, 2, 3, 4)
    _, (dz, _), dy = shapes.gradients(lambda z, w: ops.conv2d(z, w, (2, 3)), z, w)
    assert oracle.error(ops.conv2d_transpose(dy, w, z.shape, (2, 3)), dz) == 0


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_it_takes_the_place_of_tf_nn(padding):
    x, w = random(2, 4, 5, 3, dtype=np.float32), random(3, 2, 4, 3, dtype=np.float32)
    shape = [2, 9, 10, 4] if padding == "VALID" else [2, 8, 10, 4]
    expected = tf.nn.conv2d_transpose(x, w, shape, [1, 2, 2, 1], padding)
    assert (
        oracle.error(ops.conv2d_transpose(x, w, shape, [1, 2, 2, 1], padding), expected) < FLOAT32
    )
    y = ops.conv2d_transpose(
        tf.transpose(x, [0, 3, 1, 2]),
        w,
        [shape[k] for k in (0, 3, 1, 2)],
        [1, 1, 2, 2],
        padding,
        data_format="NCHW",
    )
    assert oracle.error(tf.transpose(y, [0, 2, 3, 1]), expected) < FLOAT32


@pytest.mark.parametrize("form", ["tensor", "list", "pair"])
def test_an_output_shape_known_at_run_time(form):
    w = random(3, 3, 2, 3)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.float64),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int32),
        ]
    )
    def graph(x, height, width):
        shape = {
            "tensor": tf.stack([tf.shape(x)[0], height, width, 2]),
            "list": [tf.shape(x)[0], height, width, 2],
            "pair": (height, width),
        }[form]
        y = ops.conv2d_transpose(x, w, shape, 2)
        assert y.shape[3] == 2
        return y

    x = random(2, 4, 3, 3)
    expected = ops.conv2d_transpose(x, w, (7, 6), 2)
    assert oracle.error(graph(x, 7, 6), expected) == 0


X, W = tf.zeros([1, 4, 4, 6]), tf.zeros([3, 3, 5, 6])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: ops.conv2d_transpose(X, tf.zeros([3, 3, 5, 2]), (4, 4)),
            r"x and w must have the same number of channels C, got 6 and 2",
        ),
        (
            lambda: ops.conv2d_transpose(X, W, (9, 8), 2),
            r"output_shape must give the window the 4 positions that x has, got 5 positions over 9",
        ),
        (
            lambda: ops.conv2d_transpose(X, W, [1, 4, 4, 7]),
            r"output_shape must ask for the 5 channels of w, or for a multiple .* got 7",
        ),
        (
            lambda: ops.conv2d_transpose(X, W, [4, 4, 5]),
            r"output_shape must have 4 sizes, or be \(H, W\), got \[4, 4, 5\]",
        ),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
