"""Pools and depthwise convolution by the kernel: channels, dtypes, derivatives, threads."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from shapes import FLOAT32, FLOAT64, random

from hw2 import ops

ROUNDING = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 0, "float64": 0}
CALLS = {
    "max_pool2d": lambda x, algorithm, **window: ops.max_pool2d(
        x, (3, 2), **window, algorithm=algorithm
    ),
    "avg_pool2d": lambda x, algorithm, **window: ops.avg_pool2d(
        x, (3, 2), **window, algorithm=algorithm
    ),
    "depthwise_conv2d": lambda x, algorithm, **window: ops.depthwise_conv2d(
        x,
        tf.cast(random(3, 2, x.shape[3], 1, seed=5), x.dtype),
        **window,
        algorithm=algorithm,
    ),
    "depthwise_conv2d_x3": lambda x, algorithm, **window: ops.depthwise_conv2d(
        x,
        tf.cast(random(3, 2, x.shape[3], 3, seed=5), x.dtype),
        **window,
        algorithm=algorithm,
    ),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@every_call
@pytest.mark.parametrize("strides", [1, (2, 3)])
@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("channels", [1, 3, 4, 7, 16, 17, 40, 128, 131])
def test_every_number_of_channels_in_every_dtype(call, channels, dtype, strides):
    """Registers hold 4 to 32 values; channels fill them, leave some over, or share them."""
    x = tf.cast(tf.round(4 * random(2, 7, 9, channels)), dtype)  # few values: some are equal
    y, (dx,), dy = shapes.gradients(lambda x: call(x, "direct", strides=strides), x)
    exact = tf.cast(x, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(exact)
        expected = call(exact, "slices", strides=strides)
    expected_dx = tape.gradient(expected, exact, tf.cast(dy, tf.float64))
    # filters are rounded to the dtype, which the truth has not
    bound = FLOAT32 + 2 * ROUNDING[dtype]
    assert y.dtype == dx.dtype == dtype
    assert oracle.error(y, expected) < bound
    assert oracle.error(dx, expected_dx) < bound


@every_call
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("image", "padding"),
    [((1, 5, 0, 16), ((0, 0), (1, 1))), ((1, 0, 5, 16), ((2, 1), (0, 0)))],
)
def test_images_without_pixels_are_padding(call, image, padding, dtype):
    x = tf.zeros(image, dtype)
    (y, (dx,), _), (expected, _, _) = (
        shapes.gradients(lambda x, a=a: call(x, a, strides=1, padding=padding), x)
        for a in ("direct", "slices")
    )
    np.testing.assert_array_equal(y, expected)
    assert dx.shape == x.shape


@every_call
def test_derivatives_of_derivatives_are_those_of_slices(call):
    x = random(2, 6, 7, 5)

    def third(algorithm):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as middle:
                middle.watch(x)
                with tf.GradientTape() as inner:
                    inner.watch(x)
                    y = call(
                        x, algorithm, strides=(1, 2), padding=((1, 0), (0, 2)), dilations=(2, 1)
                    )
                    z = tf.reduce_sum(tf.where(tf.math.is_finite(y), y, 0) ** 4)
                first = inner.gradient(z, x)
                slope = tf.reduce_sum(first**2)
            second = middle.gradient(slope, x)
            slope = tf.reduce_sum(second**2)
        return [v / tf.norm(v) for v in (first, second, outer.gradient(slope, x))]

    for ours, expected in zip(third("direct"), third("slices"), strict=True):
        assert oracle.error(ours, expected) < FLOAT64


def test_what_is_not_a_number_is_the_largest_and_has_no_gradient():
    rng = np.random.default_rng(0)
    values = [np.nan, np.inf, -np.inf, 0, 1, 2]
    x = tf.constant(rng.choice(values, size=(2, 9, 8, 21), p=[0.05, 0.05, 0.5, 0.2, 0.1, 0.1]))
    for options in ({"strides": 1}, {"strides": 2}, {"strides": 1, "padding": "VALID"}):
        (y, dx), (expected, expected_dx) = (
            shapes.gradients(
                lambda x, a=algorithm, o=options: ops.max_pool2d(x, 3, **o, algorithm=a), x
            )[:2]
            for algorithm in ("direct", "slices")
        )
        np.testing.assert_array_equal(y, expected)
        assert oracle.error(dx[0], expected_dx[0]) < FLOAT64


def test_windows_of_more_taps_than_a_byte_numbers():
    x = tf.round(8 * random(1, 20, 18, 6))
    (y, dx), (expected, expected_dx) = (
        shapes.gradients(lambda x, a=a: ops.max_pool2d(x, (17, 16), 2, algorithm=a), x)[:2]
        for a in ("direct", "slices")
    )
    np.testing.assert_array_equal(y, expected)
    assert oracle.error(dx[0], expected_dx[0]) < FLOAT64


@every_call
def test_static_shapes_survive(call):
    @tf.function(input_signature=[tf.TensorSpec([None, 9, None, 4])])
    def graph(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x, "direct", strides=2)
        dx = tape.gradient(y, x)
        assert y.shape.as_list()[:3] == [None, 5, None]
        assert y.shape[3] in (4, 12)
        assert dx.shape.as_list() == x.shape.as_list()
        return y

    assert graph(tf.zeros([2, 9, 5, 4])).shape[:3] == [2, 5, 3]


def test_threads_do_not_change_a_bit():
    """In processes of their own, because threads cannot be changed once TensorFlow has started."""
    code = """
import hashlib, sys
import numpy as np
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
from hw2 import ops
from hw2.ops.direct import norm
digest = hashlib.sha256()
rng = np.random.default_rng(0)
for channels in (3, 64):
    x = tf.constant(rng.standard_normal((8, 30, 31, channels)), tf.float32)
    w = tf.constant(rng.standard_normal((3, 3, channels, 1)), tf.float32)
    for op in (
        lambda x, w: ops.max_pool2d(x, 3, 2, algorithm="direct") + 0 * w[0, 0, 0, 0],
        lambda x, w: ops.avg_pool2d(x, 3, 1, algorithm="direct") + 0 * w[0, 0, 0, 0],
        lambda x, w: ops.depthwise_conv2d(x, w, 2, algorithm="direct"),
        lambda x, w: norm.batch_norm(x, w[0, 0, :, 0], w[0, 1, :, 0], epsilon=1e-3, relu=True)[0],
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = op(x, w)
        dx, dw = tape.gradient(y, [x, w], y)
        for tensor in (y, dx, dw):
            digest.update(tensor.numpy().tobytes())
print(digest.hexdigest())
"""
    root = Path(__file__).parents[2]
    digests = {
        subprocess.check_output([sys.executable, "-c", code, str(threads)], cwd=root)
        for threads in (1, 5)
    }
    assert len(digests) == 1
