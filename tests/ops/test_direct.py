"""The compiled kernel: where it is chosen, its gradients to the second order, every dtype."""

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from shapes import FLOAT32, FLOAT64, random

from hw2 import ops
from hw2.ops import conv, geometry
from hw2.ops.direct import library

ROUNDING = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 0, "float64": 0}
X, W = tf.zeros([2, 6, 5, 4]), tf.zeros([3, 3, 4, 6])


def direct(x, w, *options, **more):
    return ops.conv2d(x, w, *options, **more, algorithm="direct")


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dtype", ROUNDING)
def test_bias_and_relu_in_every_dtype(dtype, relu):
    x, w, b = (
        tf.cast(random(*shape, seed=k), dtype)
        for k, shape in enumerate([(2, 7, 6, 8), (3, 2, 4, 6), (6,)])
    )

    def apart(x, w, b):
        y = ops.conv2d(x, w, (2, 1), algorithm="im2col") + b
        return tf.where(y > 0, y, 0) if relu else y

    y, gradients, dy = shapes.gradients(
        lambda *inputs: direct(*inputs[:2], (2, 1), bias=inputs[2], relu=relu), x, w, b
    )
    exact = [tf.cast(v, tf.float64) for v in (x, w, b)]
    with tf.GradientTape() as tape:
        tape.watch(exact)
        expected = apart(*exact)
    by_inputs = tape.gradient(expected, exact, tf.cast(dy, tf.float64))
    for ours, truth in zip([y, *gradients], [expected, *by_inputs], strict=True):
        assert ours.dtype == dtype
        assert oracle.error(ours, truth) < FLOAT32 + 2 * ROUNDING[dtype]


@pytest.mark.parametrize("relu", [False, True])
def test_second_derivatives_are_those_of_im2col(relu):
    inputs = random(2, 6, 7, 4), random(3, 2, 2, 4, seed=1), random(4, seed=2)

    def second(algorithm):
        def gradients(*inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                y = ops.conv2d(
                    *inputs[:2],
                    (1, 2),
                    ((1, 0), (0, 2)),
                    (2, 1),
                    bias=inputs[2],
                    relu=relu,
                    algorithm=algorithm,
                )
                z = tf.reduce_sum(y**3)
            return tape.gradient(z, inputs)

        with tf.GradientTape() as outer:
            outer.watch(inputs)
            slopes = [tf.reduce_sum(g**2) for g in gradients(*inputs)]
        return outer.gradient(slopes, inputs)

    for ours, expected in zip(second("direct"), second("im2col"), strict=True):
        assert oracle.error(ours, expected) < FLOAT64


def test_static_shapes_survive():
    @tf.function(input_signature=[tf.TensorSpec([None, 9, None, 4])])
    def graph(x):
        with tf.GradientTape() as tape:
            tape.watch([x, W])
            y = direct(x, W, 2)
        dx, dw = tape.gradient(y, [x, W])
        assert y.shape.as_list() == [None, 5, None, 6]
        assert dx.shape.as_list() == x.shape.as_list()
        assert dw.shape == W.shape
        return y

    assert graph(tf.zeros([2, 9, 5, 4])).shape == [2, 5, 3, 6]


def chosen(**options):
    return conv.chosen(X, W, geometry.window((3, 3)), **options)


def test_auto_takes_the_kernel():
    assert chosen() == "direct"


def test_xla_gets_another_algorithm_and_the_same_numbers():
    x, w = random(2, 9, 8, 6, dtype=np.float32), random(3, 3, 3, 4, dtype=np.float32)
    names = []

    def run(x):
        names.append(conv.chosen(x, w, geometry.window((3, 3))))
        return ops.conv2d(x, w)

    compiled = tf.function(run, jit_compile=True)(x)
    assert oracle.error(compiled, tf.function(run)(x)) < FLOAT32
    assert names == ["im2col", "direct"]
    with pytest.raises(ValueError, match="direct must have a graph that XLA does not compile"):
        tf.function(lambda x: direct(x, w), jit_compile=True)(x)


def test_a_saved_model_is_read_without_the_kernel(tmp_path):
    module = tf.Module()
    module.run = tf.function(lambda x: ops.conv2d(x, W), input_signature=[tf.TensorSpec(X.shape)])
    tf.saved_model.save(module, tmp_path)
    saved = (tmp_path / "saved_model.pb").read_bytes()
    assert b"MatMul" in saved
    assert b"Hw2Conv2D" not in saved


def test_tiles_of_winograd_refuse_what_they_cannot_do():
    for x, w, options in (
        (tf.zeros([1, 4, 4, 2], tf.float64), tf.zeros([3, 3, 2, 2], tf.float64), {}),
        (X, tf.zeros([3, 2, 4, 2]), {}),
        (X, tf.zeros([3, 3, 2, 2]), {}),
        (X, W, {"strides": 2}),
        (X, W, {"dilations": 2}),
    ):
        with pytest.raises(ValueError, match=r"direct must have .* for a tile of 4"):
            ops.conv2d(x, w, **options, algorithm="direct_winograd4")


def test_what_cannot_be_had_is_said_once(monkeypatch, capsys):
    monkeypatch.setattr(library, "_loaded", library.Unavailable("there is no compiler", "install"))
    monkeypatch.setattr(library, "_said", False)
    for _ in range(2):
        assert chosen() == "winograd"
    words = "algorithm direct cannot be used - there is no compiler; install"
    assert capsys.readouterr().err.splitlines() == [f"{words}; what it would do is done without it"]
    with pytest.raises(ValueError, match=words):
        direct(X, W)


@pytest.mark.parametrize(
    ("image", "padding"),
    [((1, 5, 0, 16), ((0, 0), (1, 1))), ((1, 0, 5, 16), ((1, 1), (0, 0)))],
)
def test_images_without_pixels_are_padding(image, padding):
    x, w, b = random(*image), random(2, 2, 16, 6, seed=1), random(6, seed=2)
    y, (dx, dw, db), dy = shapes.gradients(
        lambda x, w, b: direct(x, w, 1, padding, bias=b), x, w, b
    )
    assert y.shape == ops.conv2d(x, w, 1, padding, algorithm="im2col").shape
    np.testing.assert_array_equal(y, tf.broadcast_to(b, y.shape))
    assert dx.shape == x.shape
    assert not np.any(dw)
    assert oracle.error(db, tf.reduce_sum(dy, [0, 1, 2])) < FLOAT64


@pytest.mark.parametrize("dtype", ROUNDING)
def test_a_group_does_not_see_its_neighbour(dtype):
    x = tf.constant([[[[1, np.inf]]]], dtype)  # in bfloat16 channels are multiplied in pairs
    y = direct(x, tf.ones([1, 1, 1, 2], dtype), padding=((1, 1), (1, 1)))
    assert tf.cast(y, "float32").numpy()[0, 1, 1].tolist() == [1, np.inf]
