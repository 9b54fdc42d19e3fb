"""conv3d, its transpose and that of conv1d: definition, TensorFlow, algorithms, refusals."""

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import FLOAT32, FLOAT64, random

from hw2 import ops


def test_a_filter_of_two_frames_takes_their_difference():
    x = tf.reshape(tf.constant([1.0, 4.0, 9.0]), [1, 3, 1, 1, 1])
    w = tf.reshape(tf.constant([-1.0, 1.0]), [2, 1, 1, 1, 1])
    assert ops.conv3d(x, w, padding="VALID")[0, :, 0, 0, 0].numpy().tolist() == [3, 5]
    y = ops.conv3d_transpose(x, w, (4, 1, 1), padding="VALID")
    assert y[0, :, 0, 0, 0].numpy().tolist() == [-1, -3, -5, 9]


@settings(deadline=None, max_examples=25)
@given(case=shapes.windows(axes=3), groups=st.integers(1, 2), filters=st.integers(1, 2))
def test_definition_and_adjoint(case, groups, filters):
    (n, *size, c), kernel, window = case
    x, w = random(n, *size, groups * c), random(*kernel, c, groups * filters, seed=1)
    y, (dx, dw), dy = shapes.gradients(lambda x, w: ops.conv3d(x, w, **window), x, w)
    assert oracle.error(y, oracle.conv(x.numpy(), w.numpy(), **window)) < FLOAT64
    expected = oracle.conv_gradients(x.numpy(), w.numpy(), dy.numpy(), **window)
    assert oracle.error(dx, expected[0]) < FLOAT64
    assert oracle.error(dw, expected[1]) < FLOAT64
    shapes.check_adjoint(y, dy, (x, w), (dx, dw))
    transposed = ops.conv3d_transpose(dy, w, x.shape, **window)
    assert oracle.error(transposed, expected[0]) < FLOAT64


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("data_format", ["NDHWC", "NCDHW"])
def test_they_take_the_place_of_tf_nn(padding, data_format):
    x, w = random(2, 5, 6, 7, 3, dtype=np.float32), random(3, 2, 3, 3, 4, dtype=np.float32)
    first = data_format == "NCDHW"
    strides = [1, 1, 1, 2, 1] if first else [1, 1, 2, 1, 1]

    def given(x):
        return tf.transpose(x, [0, 4, 1, 2, 3]) if first else x

    y = ops.conv3d(given(x), w, strides, padding, data_format=data_format)
    expected = tf.nn.conv3d(x, w, [1, 1, 2, 1, 1], padding)
    assert oracle.error(y, given(expected)) < FLOAT32
    shape = given(x).shape
    dx = ops.conv3d_transpose(y, w, shape, strides, padding, data_format=data_format)
    back = tf.nn.conv3d_transpose(expected, w, x.shape, [1, 1, 2, 1, 1], padding)
    assert oracle.error(dx, given(back)) < FLOAT32


def test_conv1d_transpose_takes_the_place_of_tf_nn():
    x, w = random(2, 5, 3, dtype=np.float32), random(4, 2, 3, dtype=np.float32)
    expected = tf.nn.conv1d_transpose(x, w, [2, 10, 2], 2)
    for shape in ([2, 10, 2], 10, tf.constant([2, 10, 2])):
        assert oracle.error(ops.conv1d_transpose(x, w, shape, 2), expected) < FLOAT32
    y = ops.conv1d_transpose(
        tf.transpose(x, [0, 2, 1]), w, [2, 2, 10], [1, 1, 2], data_format="NCW"
    )
    assert oracle.error(tf.transpose(y, [0, 2, 1]), expected) < FLOAT32


@pytest.mark.parametrize("algorithm", ["im2col", "direct", "native", "extract_patches"])
def test_algorithms_bias_and_relu(algorithm):
    x, w = random(2, 3, 6, 7, 4, dtype=np.float32), random(3, 3, 3, 4, 5, dtype=np.float32)
    bias = random(5, seed=3, dtype=np.float32)
    y = ops.conv3d(x, w, bias=bias, relu=True, algorithm=algorithm)
    assert oracle.error(y, tf.nn.relu(tf.nn.conv3d(x, w, [1] * 5, "SAME") + bias)) < FLOAT32
    y = ops.conv1d(x[:, 0, 0], w[0, 0], bias=bias, relu=True, algorithm=algorithm)
    expected = tf.nn.relu(tf.nn.conv1d(x[:, 0, 0], w[0, 0], 1, "SAME") + bias)
    assert oracle.error(y, expected) < FLOAT32


def test_convolutions_of_clips_may_be_compiled(convolutions):
    with ops.algorithm("im2col"):
        ops.conv3d(tf.zeros([1, 3, 4, 4, 2]), tf.zeros([3, 3, 3, 2, 2]))
    assert convolutions == ["im2col"]


X, W = np.zeros([1, 3, 4, 5, 6]), np.zeros([3, 3, 3, 6, 2])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.conv3d(X[0], W), r"x must be \[N, D, H, W, C\], got shape"),
        (lambda: ops.conv3d(X, W[0]), r"w must be \[kD, kH, kW, C, O\] with known sizes, got"),
        (lambda: ops.conv3d(X[..., :5], W), r"the channels of x must be those of w, or a multiple"),
        (lambda: ops.conv3d(X, np.float32(W)), r"x and w must have the same dtype, got float64"),
        (lambda: ops.conv3d(X, W, (1, 2)), r"strides must be an int, three ints or a list of five"),
        (lambda: ops.conv3d(X, W, bias=np.zeros(3)), r"bias must be \[2\], one for each filter"),
        (lambda: ops.conv3d(X, W, data_format="NHWC"), r"data_format must be NDHWC or NCDHW, got"),
        (
            lambda: ops.conv3d(X, W, padding=((0, 0), (0, 0), (0, 0), (0, 1), (0, 0), (0, 0))),
            r"three pairs of zeros, one for each axis",
        ),
        (
            lambda: ops.conv3d_transpose(X, W, (3, 4, 5)),
            r"must have the same number of channels C, got 6 and 2",
        ),
        (
            lambda: ops.conv3d_transpose(X[..., :2], W, (3, 4, 6)),
            r"output_shape must give the window the 5 positions that x has, got 6 positions over 6",
        ),
        (
            lambda: ops.conv3d_transpose(X[..., :2], W, (4, 5)),
            r"output_shape must have 5 sizes, or be \(D, H, W\), got \(4, 5\)",
        ),
        (
            lambda: ops.conv1d_transpose(X[0, 0], W[0, 0], [1, 2]),
            r"output_shape must have 3 sizes, or be \(W\), got \[1, 2\]",
        ),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
