"""max_pool2d and avg_pool2d: worked examples, definition, ties, TensorFlow, refusals."""

import functools

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from hypothesis import example, given, settings
from shapes import FLOAT64, random

from hw2 import ops

both_ways = pytest.mark.parametrize("algorithm", ["slices", "direct"])


def image(rows):
    return tf.constant(rows, tf.float64)[None, :, :, None]


def test_the_largest_and_the_mean():
    x = image([[1, 2, 3], [4, 5, 6], [7, 8, 10]])
    assert ops.max_pool2d(x, 2, 2)[0, ..., 0].numpy().tolist() == [[5, 6], [8, 10]]
    # SAME: the last windows hang over the edge, and only the pixels in them count
    assert ops.avg_pool2d(x, 2, 2)[0, ..., 0].numpy().tolist() == [[3, 4.5], [7.5, 10]]


def test_padding_is_less_than_every_pixel():
    x = image([[-5, -7]])
    assert ops.max_pool2d(x, 3, 1)[0, ..., 0].numpy().tolist() == [[-5, -5]]


@both_ways
def test_a_window_without_pixels(algorithm):
    x = image([[1, 2, 3]])
    window = {"padding": ((0, 0), (2, 2)), "dilations": (1, 5), "algorithm": algorithm}
    # the taps lie at pixels i-2 and i+3: none of them exists at the second position
    assert ops.max_pool2d(x, (1, 2), 1, **window).numpy().ravel().tolist() == [-np.inf, -np.inf]
    assert ops.avg_pool2d(x, (1, 2), 1, **window).numpy().ravel().tolist() == [0, 0]


@both_ways
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[1, 1], [1, 1]], [[1, 0], [0, 0]]),
        ([[0, 1], [1, 1]], [[0, 1], [0, 0]]),
        ([[0, 0], [1, 1]], [[0, 0], [1, 0]]),
        ([[0, 0], [0, 1]], [[0, 0], [0, 1]]),
    ],
)
def test_the_first_of_equals_in_row_order_has_the_gradient(rows, expected, algorithm):
    x = image(rows)
    for op in (functools.partial(ops.max_pool2d, algorithm=algorithm), tf.nn.max_pool2d):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = op(x, 2, 2, "SAME")
        assert tape.gradient(y, x)[0, ..., 0].numpy().tolist() == expected


@both_ways
@settings(deadline=None, max_examples=40)
@given(case=shapes.windows())
@example(case=shapes.LOPSIDED)
def test_definition_and_adjoint(case, algorithm):
    (n, height, width, c), kernel, window = case
    x = random(n, height, width, c)
    equals = tf.round(x)  # few values, so the largest has equals
    y, (dx,), dy = shapes.gradients(
        lambda x: ops.max_pool2d(x, kernel, **window, algorithm=algorithm), equals
    )
    expected = oracle.max_pool2d(equals.numpy(), dy.numpy(), kernel, **window)
    assert np.array_equal(y, expected[0])
    assert oracle.error(dx, expected[1]) < FLOAT64

    y, (dx,), dy = shapes.gradients(
        lambda x: ops.avg_pool2d(x, kernel, **window, algorithm=algorithm), x
    )
    expected = oracle.avg_pool2d(x.numpy(), dy.numpy(), kernel, **window)
    assert oracle.error(y, expected[0]) < FLOAT64
    assert oracle.error(dx, expected[1]) < FLOAT64
    shapes.check_adjoint(y, dy, [x], [dx])


@both_ways
@pytest.mark.parametrize("kernel", [2, (3, 2)])
@pytest.mark.parametrize("strides", [1, 2, (3, 1)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_they_take_the_place_of_tf_nn(kernel, strides, padding, algorithm):
    x = tf.round(random(2, 9, 10, 3, dtype=np.float32) * 2)
    for ours, theirs in (
        (ops.max_pool2d, tf.nn.max_pool2d),
        (ops.avg_pool2d, tf.nn.avg_pool2d),
    ):
        ours = functools.partial(ours, algorithm=algorithm)
        y, (dx,), _ = shapes.gradients(lambda x, op=ours: op(x, kernel, strides, padding), x)
        expected, (expected_dx,), _ = shapes.gradients(
            lambda x, op=theirs: op(x, kernel, strides, padding), x
        )
        assert oracle.error(y, expected) < shapes.FLOAT32
        assert oracle.error(dx, expected_dx) < shapes.FLOAT32
        turned = ours(tf.transpose(x, [0, 3, 1, 2]), kernel, strides, padding, data_format="NCHW")
        assert oracle.error(tf.transpose(turned, [0, 2, 3, 1]), y) == 0


def test_integers_have_a_largest_value_too():
    x = tf.constant([[-3, -1], [-2, -4]], tf.int32)[None, :, :, None]
    assert ops.max_pool2d(x, 3, 1).numpy().ravel().tolist() == [-1] * 4


@both_ways
def test_the_gradient_survives_infinities(algorithm):
    x = image([[1, -np.inf], [np.inf, 2]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.max_pool2d(x, 2, 2, algorithm=algorithm)
    assert tape.gradient(y, x)[0, ..., 0].numpy().tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize("op", [ops.max_pool2d, ops.avg_pool2d])
def test_refusals(op):
    x = tf.zeros([1, 4, 4, 1])
    with pytest.raises(ValueError, match=r"x must be \[N, H, W, C\], got shape \(4, 4, 1\)"):
        op(x[0], 2, 2)
    with pytest.raises(ValueError, match="kernel must be an int, a pair or a list of four"):
        op(x, 0, 2)
    with pytest.raises(ValueError, match=r"window must fit into the padded image"):
        op(x, 6, 1, "VALID")
    with pytest.raises(
        ValueError, match="algorithm must be one of direct, slices, native, got 'x'"
    ):
        op(x, 2, 2, algorithm="x")
    with pytest.raises(ValueError, match=r"dilations of tf.nn's pools must be 1, got \(2, 1\)"):
        op(x, 2, 2, "SAME", (2, 1), algorithm="native")
    with pytest.raises(ValueError, match=r"direct must have .*, got int32"):
        op(tf.zeros([1, 4, 4, 1], tf.int32), 2, 2, algorithm="direct")


@pytest.mark.parametrize("op", [ops.max_pool2d, ops.avg_pool2d])
def test_what_the_default_stands_for(op):
    def nodes(**options):
        graph = tf.function(lambda x: op(x, 2, 2, **options), autograph=False)
        operations = graph.get_concrete_function(tf.TensorSpec([1, 4, 4, 1])).graph.get_operations()
        return {node.type for node in operations}

    name = {ops.max_pool2d: "MaxPool", ops.avg_pool2d: "AvgPool"}[op]
    assert f"Hw2{name}" in nodes()
    with ops.algorithm("direct"):
        assert f"Hw2{name}" in nodes()
    with ops.algorithm("native"):
        assert name in nodes()
        assert name not in nodes(dilations=2)  # which tf.nn has not
    with ops.algorithm("im2col"):
        assert not {name, f"Hw2{name}"} & nodes()


@pytest.mark.fault(133)
@both_ways
@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16, tf.float32, tf.float64])
@pytest.mark.parametrize("traced", [False, True])
def test_a_nan_is_the_largest_of_its_windows_and_has_no_gradient(algorithm, dtype, traced):
    x = np.arange(36.0).reshape(1, 6, 6, 1)
    x[0, 1, 1], x[0, 4, 4], x[0, 5, 0] = np.nan, np.nan, np.inf
    x[0, 0, 5] = -np.inf

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.max_pool2d(x, 2, 2, algorithm=algorithm)
        return y, tape.gradient(y, x)

    call = tf.function(run, autograph=False) if traced else run
    y, dx = (value.numpy().astype(float)[0, ..., 0] for value in call(tf.cast(x, dtype)))
    expected = [[np.nan, 9, 11], [19, 21, 23], [np.inf, 33, np.nan]]
    np.testing.assert_array_equal(y, expected)
    ones = np.argwhere(dx).tolist()
    assert ones == [[1, 3], [1, 5], [3, 1], [3, 3], [3, 5], [5, 0], [5, 3]]


@pytest.mark.fault(133)
@both_ways
def test_windows_of_nan_alone_and_beside_padding(algorithm):
    x = tf.fill([1, 3, 3, 1], np.float32(np.nan))
    for options in ({}, {"padding": ((1, 1), (1, 1))}, {"dilations": 2, "padding": "SAME"}):
        assert np.isnan(ops.max_pool2d(x, 2, 1, algorithm=algorithm, **options)).all()
    assert np.isnan(ops.avg_pool2d(x, 2, 1, algorithm=algorithm)).all()


@pytest.mark.fault(133)
def test_the_docstring_says_what_becomes_of_a_nan():
    about = " ".join(ops.max_pool2d.__doc__.split())
    assert "A NaN is larger than every number: a window with one has NaN" in about
    assert 'tf.nn on a CPU, and so "native", passes over it' in about
