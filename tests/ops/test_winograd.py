"""Winograd and pointwise: their definition, gradients, refusals, and when auto takes them."""

import numpy as np
import oracle
import pytest
import tensorflow as tf

from hw2 import ops
from hw2.ops import conv, geometry, pointwise, winograd
from hw2.ops.direct import library

# Largest error over the largest value, of outputs and gradients, at 64 channels and fewer: a few
# roundings of 6e-8, enlarged by the entries of the matrices. Seen at most: half of each.
BOUNDS = {2: 2e-6, 3: 5e-6, 4: 6e-6, 5: 1e-5}
FLOAT32 = 1e-6  # sums of a few hundred products


def values(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), tf.float32)


def run(convolve, x, w, window):
    """Output and gradients by a random `dy`, and what the definition says of them."""
    with tf.GradientTape() as tape:
        tape.watch([x, w])
        y = convolve(x, w, window)
    dy = values(*y.shape, seed=9)
    ours = [y, *tape.gradient(y, [x, w], dy)]
    options = {"padding": window.padding}
    exact = [v.numpy().astype(np.float64) for v in (x, w, dy)]
    truth = [
        oracle.conv2d(*exact[:2], **options),
        *oracle.conv2d_gradients(*exact, **options),
    ]
    return ours, truth


@pytest.mark.parametrize("tile", [2, 3, 4, 5])
def test_the_matrices_convolve_exactly(tile):
    rng = np.random.default_rng(tile)
    x, w = rng.standard_normal(tile + 2), rng.standard_normal(3)
    a, g, b = winograd.cook_toom(tile)
    expected = [x[i : i + 3] @ w for i in range(tile)]
    np.testing.assert_allclose(a @ ((g @ w) * (b @ x)), expected, rtol=1e-12)


def test_tile_2_is_the_one_in_the_paper():
    a, g, b = winograd.cook_toom(2)
    np.testing.assert_array_equal(a, [[1, 1, 1, 0], [0, 1, -1, 1]])
    np.testing.assert_array_equal(g, [[-1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    np.testing.assert_array_equal(b, [[-1, 0, 1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]])


@pytest.mark.parametrize("tile", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [(5, 5), (13, 9), (1, 7), (28, 25), (12, 24)])
@pytest.mark.parametrize("padding", ["SAME", ((2, 0), (1, 3))])
def test_winograd_is_convolution(tile, size, padding):
    x, w = values(2, *size, 8), values(3, 3, 8, 6, seed=1)
    window = geometry.window(3, padding=padding)
    ours, truth = run(lambda *a: winograd.conv2d(*a, tile=tile), x, w, window)
    for a, b in zip(ours, truth, strict=True):
        assert a.shape == b.shape
        assert oracle.error(a, b) < BOUNDS[tile]


def test_winograd_with_many_channels_keeps_its_bound():
    x, w = values(4, 14, 14, 64), values(3, 3, 64, 64, seed=1)
    for tile, bound in BOUNDS.items():
        ours, truth = run(
            lambda *a, tile=tile: winograd.conv2d(*a, tile=tile), x, w, geometry.window(3)
        )
        assert max(map(oracle.error, ours, truth)) < bound


def test_winograd_in_a_graph_of_unknown_batch_and_by_xla():
    w = values(3, 3, 32, 32, seed=1)
    spec = tf.TensorSpec([None, 12, 12, 32])
    graph = tf.function(lambda x: ops.conv2d(x, w, algorithm="winograd"), [spec])
    compiled = tf.function(graph.python_function, [spec], jit_compile=True)
    for n in (1, 3):
        x = values(n, 12, 12, 32)
        expected = tf.nn.conv2d(x, w, 1, "SAME")
        assert oracle.error(graph(x), expected) < BOUNDS[5]
        assert oracle.error(compiled(x), expected) < BOUNDS[5]
    assert graph(values(0, 12, 12, 32)).shape == (0, 12, 12, 32)


def test_winograd_is_differentiable_again():
    x, w = values(1, 6, 6, 2), values(3, 3, 2, 2, seed=1)

    def second(algorithm):
        with tf.GradientTape() as outer:
            outer.watch(w)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = tf.reduce_sum(ops.conv2d(x, w, algorithm=algorithm) ** 3)
            dx = tf.reduce_sum(inner.gradient(y, x) ** 2)
        return outer.gradient(dx, w)

    assert oracle.error(second("winograd"), second("im2col")) < 3 * BOUNDS[5]


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_pointwise_is_convolution(padding):
    x, w = values(2, 5, 4, 7), values(1, 1, 7, 3, seed=1)
    ours, truth = run(pointwise.conv2d, x, w, geometry.window(1, padding=padding))
    for a, b in zip(ours, truth, strict=True):
        assert oracle.error(a, b) < FLOAT32


@pytest.mark.parametrize(
    ("x", "w", "options", "words"),
    [
        ((1, 4, 4, 2), (3, 3, 2, 2), {"strides": 2}, "winograd must have a 3x3 window of stride"),
        ((1, 8, 8, 2), (3, 3, 2, 2), {"dilations": 2}, "a 3x3 window of stride and dilation 1"),
        ((1, 8, 8, 2), (5, 5, 2, 2), {}, "a 3x3 window of stride and dilation 1"),
        ((1, 8, 8, 4), (3, 3, 2, 2), {}, "one group of channels, got 4 channels for filters of 2"),
        ((1, 8, 8, 2), (3, 3, 2, 0), {}, "no empty axis"),
    ],
)
def test_winograd_refuses_by_name(x, w, options, words):
    with pytest.raises(ValueError, match=words):
        ops.conv2d(tf.zeros(x), tf.zeros(w), **options, algorithm="winograd")


def test_winograd_refuses_other_dtypes_and_unknown_sizes():
    x, w = tf.zeros([1, 4, 4, 2], tf.float64), tf.zeros([3, 3, 2, 2], tf.float64)
    with pytest.raises(ValueError, match="winograd must have float32, got float64"):
        ops.conv2d(x, w, algorithm="winograd")
    graph = tf.function(lambda x: ops.conv2d(x, tf.zeros([3, 3, 2, 2]), algorithm="winograd"))
    with pytest.raises(ValueError, match="images of known height and width, got shape"):
        graph.get_concrete_function(tf.TensorSpec([1, None, 4, 2]))


@pytest.mark.parametrize(
    ("x", "w", "options", "words"),
    [
        ((1, 4, 4, 2), (1, 1, 2, 2), {"strides": 2}, "pointwise must have a 1x1 window of stride"),
        ((1, 4, 4, 2), (3, 3, 2, 2), {}, "a 1x1 window of stride 1"),
        ((1, 4, 4, 2), (1, 1, 2, 2), {"padding": ((1, 0), (0, 0))}, "no padding, got"),
        ((1, 4, 4, 4), (1, 1, 2, 2), {}, "one group of channels"),
    ],
)
def test_pointwise_refuses_by_name(x, w, options, words):
    with pytest.raises(ValueError, match=words):
        ops.conv2d(tf.zeros(x), tf.zeros(w), **options, algorithm="pointwise")


@pytest.mark.parametrize(
    ("x", "w", "strides", "name"),
    [
        ((32, 25, 25, 64), (3, 3, 64, 96), 1, "winograd"),
        ((32, 7, 7, 512), (3, 3, 512, 512), 1, "winograd"),
        ((32, 25, 25, 128), (1, 1, 128, 64), 1, "pointwise"),
        ((32, 100, 100, 3), (3, 3, 3, 64), 1, "im2col"),  # too few channels
        ((32, 100, 100, 64), (3, 3, 64, 128), 2, "im2col"),  # strided
    ],
)
def test_auto_takes_the_fastest_without_the_kernel(x, w, strides, name, monkeypatch):
    monkeypatch.setattr(library, "available", lambda: False)
    assert conv.chosen(tf.zeros(x), tf.zeros(w), geometry.window(w[:2], strides)) == name


def with_spike(value):
    x = values(2, 20, 20, 16).numpy()
    x[0, 9, 9, 3] = value
    return tf.constant(x), values(3, 3, 16, 8, seed=1)


def by_tiles(x, w, tile, way):
    if way == "kernel":
        return ops.conv2d(x, w, algorithm=f"direct_winograd{tile}").numpy()
    return winograd.conv2d(x, w, geometry.window(3), tile=tile).numpy()


@pytest.mark.fault(132)
@pytest.mark.parametrize("way", ["TensorFlow", "kernel"])
@pytest.mark.parametrize("tile", [2, 3, 4, 5])
@pytest.mark.parametrize("spike", [1, 1e3, 1e6, 1e30])
def test_the_error_is_within_its_bound_whatever_a_pixel_is(tile, spike, way):
    x, w = with_spike(spike)
    truth = oracle.conv2d(x.numpy().astype(np.float64), w.numpy().astype(np.float64))
    error = np.abs(by_tiles(x, w, tile, way) - truth)
    filters = np.abs(w).sum((0, 1, 2))
    largest = np.abs(x).max((1, 2, 3))[:, None, None, None]
    assert (error <= winograd.BOUNDS[tile] * largest * filters).all()
    # Beyond the tiles that see the pixel nothing is known of it.
    error[0, 9 - tile - 1 : 9 + tile + 2, 9 - tile - 1 : 9 + tile + 2] = 0
    assert (error <= winograd.BOUNDS[tile] * np.abs(x[1]).max() * 2 * filters).all()


@pytest.mark.fault(132)
@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38])
def test_a_value_out_of_range_reaches_its_own_windows_alone(value, traced):
    x, w = with_spike(value)

    def gradients(x, w, algorithm):
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = ops.conv2d(x, w, algorithm=algorithm)
        return [y, *tape.gradient(y, [x, w], tf.ones_like(y))]

    call = tf.function(gradients, autograph=False) if traced else gradients
    for ours, patches in zip(call(x, w, "winograd"), call(x, w, "im2col"), strict=True):
        np.testing.assert_array_equal(ours, patches)
    assert np.isfinite(call(x, w, "winograd")[0]).all((0, 3)).sum() >= 400 - 9


@pytest.mark.fault(132)
def test_the_compiled_kernel_keeps_such_a_value_to_the_tiles_that_see_it():
    x, w = with_spike(np.inf)
    for tile in (2, 3, 4, 5):
        bad = ~np.isfinite(by_tiles(x, w, tile, "kernel")).all(3)
        assert bad[0, 8:11, 8:11].all()
        bad[0, 9 - tile : 9 + tile + 1, 9 - tile : 9 + tile + 1] = False
        assert not bad.any()
