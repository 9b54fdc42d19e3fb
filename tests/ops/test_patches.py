"""unfold and fold: the worked example, the definition, and each as the other's gradient."""

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from hypothesis import example, given, settings
from shapes import ADJOINT, random

from hw2 import ops
from hw2.ops import geometry
from hw2.ops.patches import unfold_columns

SUMS = 1e-14  # fold adds at most 25 float64 terms in the tests


def test_unfold_lays_patches_side_by_side():
    x = tf.reshape(tf.range(1, 10), [1, 3, 3, 1])
    patches = ops.unfold(x, 2, padding="VALID")
    assert patches[0].numpy().tolist() == [
        [[1, 2, 4, 5], [2, 3, 5, 6]],
        [[4, 5, 7, 8], [5, 6, 8, 9]],
    ]


def test_fold_adds_patches_where_they_came_from():
    x = tf.reshape(tf.range(1.0, 10.0), [1, 3, 3, 1])
    patches = ops.unfold(x, 2, padding="VALID")
    reads = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])  # patches that hold each pixel
    folded = ops.fold(patches, (3, 3), 2, padding="VALID")
    assert (folded[0, ..., 0].numpy() == x[0, ..., 0].numpy() * reads).all()
    mean = ops.fold(patches, (3, 3), 2, padding="VALID", reduction="mean")
    assert (mean.numpy() == x.numpy()).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("strides", [1, 2, (3, 1)])
@pytest.mark.parametrize("dilations", [1, (1, 2)])
def test_unfold_is_extract_patches_bit_for_bit(dtype, padding, strides, dilations):
    x = tf.cast(100 * tf.abs(random(2, 7, 8, 3)), dtype)
    window = ops.geometry.window((3, 2), strides, padding, dilations)
    sizes = [[1, *v, 1] for v in (window.kernel, window.strides, window.dilations)]
    expected = tf.image.extract_patches(x, *sizes, padding)
    assert tf.reduce_all(ops.unfold(x, *window) == expected)


@settings(deadline=None, max_examples=60)
@given(case=shapes.windows())
@example(case=shapes.LOPSIDED)
def test_unfold_and_fold_are_their_definitions(case):
    image, kernel, window = case
    x = random(*image)
    expected = oracle.unfold(x.numpy(), kernel, **window)
    patches = ops.unfold(x, kernel, **window)
    assert oracle.error(patches, expected.reshape(patches.shape)) == 0

    dy = random(*expected.shape, seed=1)
    folded = ops.fold(tf.reshape(dy, patches.shape), image[1:3], kernel, **window)
    assert oracle.error(folded, oracle.fold(dy.numpy(), image[1:3], kernel, **window)) < SUMS


@settings(deadline=None, max_examples=30)
@given(case=shapes.windows())
@example(case=shapes.LOPSIDED)
def test_adjoint_identity_and_gradients(case):
    image, kernel, window = case
    x = random(*image)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.unfold(x, kernel, **window)
    dy = random(*y.shape, seed=1)
    dx = tape.gradient(y, x, dy)
    assert abs(tf.reduce_sum(y * dy) - tf.reduce_sum(x * dx)) <= ADJOINT * tf.norm(y) * tf.norm(dy)
    with tf.GradientTape() as tape:
        tape.watch(dy)
        folded = ops.fold(dy, image[1:3], kernel, **window)
    assert oracle.error(folded, dx) == 0
    assert oracle.error(tape.gradient(folded, dy, x), y) == 0


@settings(deadline=None, max_examples=30)
@given(case=shapes.windows())
@example(case=shapes.LOPSIDED)
def test_mean_fold_is_the_left_inverse_of_unfold(case):
    image, kernel, window = case
    x = random(*image)
    patches = ops.unfold(x, kernel, **window)
    read = oracle.fold(
        np.ones((*patches.shape[:3], *kernel, image[3])), image[1:3], kernel, **window
    )
    mean = ops.fold(patches, image[1:3], kernel, **window, reduction="mean")
    assert oracle.error(mean, np.where(read > 0, x, 0)) < SUMS


def test_gradients_of_gradients():
    x = random(1, 5, 4, 2)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(ops.unfold(x, 3, 2) ** 3)
        first = inner.gradient(y, x)
        z = tf.reduce_sum(first**2)
    second = outer.gradient(z, x)
    counts = ops.fold(tf.ones_like(ops.unfold(x, 3, 2)), (5, 4), 3, 2)
    assert oracle.error(first, 3 * counts * x**2) < SUMS
    assert oracle.error(second, 36 * counts**2 * x**3) < SUMS


@pytest.mark.parametrize(
    "window", [(3,), ((3, 2), (2, 3), "VALID"), (2, 1, ((1, 0), (2, 1)), (1, 2)), (1, 4)]
)
@pytest.mark.parametrize("shape", [[None] * 4, [2, 7, None, 3]])
def test_graphs_with_unknown_sizes(shape, window):
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.unfold(x, *window)
            z = tf.reduce_sum(y**2)
        return y, tape.gradient(z, x), ops.fold(y, tf.shape(x)[1:3], *window, reduction="mean")

    x = random(2, 7, 8, 3)
    graph = tf.function(run, input_signature=[tf.TensorSpec(shape, tf.float64)])
    for a, b in zip(graph(x), run(x), strict=True):
        assert oracle.error(a, b) < SUMS


def test_static_shapes_survive_unknown_sizes():
    @tf.function(input_signature=[tf.TensorSpec([None, None, 8, 3])])
    def run(x):
        y = ops.unfold(x, 3, 2)
        assert y.shape.as_list() == [None, None, 4, 27]
        folded = ops.fold(y, (tf.shape(x)[1], 8), 3, 2)
        assert folded.shape.as_list() == [None, None, 8, 3]
        return folded

    run(tf.zeros([1, 5, 8, 3]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fold_sums_low_precision_in_float32(dtype):
    # 2048 + 1 is 2048 in float16 (256 + 1 in bfloat16), so a running sum would lose all ones.
    big = {"float16": 2048, "bfloat16": 256}[dtype]
    patches = tf.cast(tf.reshape([big] + [1] * 8, [1, 1, 1, 9]), dtype)
    patches = tf.tile(patches, [1, 9, 9, 1])
    middle = ops.fold(patches, (9, 9), 3)[0, 4, 4, 0]
    assert float(middle) == big + 8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.unfold(tf.zeros([3, 3]), 2), r"x must be \[N, H, W, C\], got shape \(3, 3\)"),
        (lambda: ops.unfold(tf.zeros([1, 3, 3, 1]), 0), r"kernel must be an int, a pair"),
        (lambda: ops.unfold(tf.zeros([1, 3, 3, 1]), 2, dilations=0), r"dilations must be an int"),
        (
            lambda: ops.fold(tf.zeros([1, 3, 3, 5]), (3, 3), 2),
            r"patches must be \[N, H', W', 4\*C\] for a window of 2x2, got shape \(1, 3, 3, 5\)",
        ),
        (
            lambda: ops.fold(tf.zeros([1, 3, 3, 4]), (4, 4), 2),
            r"patches of this image must have 4x4 positions, got shape \(1, 3, 3, 4\)",
        ),
        (
            lambda: ops.fold(tf.zeros([1, 3, 3, 4]), (3, 3), 2, reduction="max"),
            r"""reduction must be "sum" or "mean", got 'max'""",
        ),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("size", "kernel", "window"),
    [
        ((40, 36), 3, {"strides": 2}),
        ((41, 37), 3, {"strides": 2, "padding": "VALID"}),
        ((33, 35), 5, {"strides": (3, 2), "padding": ((1, 2), (3, 0))}),
        ((36, 40), 3, {"dilations": 2}),
        ((9, 9), 9, {"strides": 4, "dilations": 3}),
    ],
)
def test_gradient_of_large_images_in_graphs_is_compiled_to_the_same_sums(size, kernel, window):
    shape = (32, *size, 32)
    x = tf.cast(random(*shape), tf.float32)
    patches = ops.unfold(x, kernel, **window)

    @tf.function(autograph=False)
    def gradient(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.unfold(x, kernel, **window)
        return tape.gradient(y, x, dy)

    graph = gradient.get_concrete_function(x, patches).graph
    names = {op.type for op in graph.get_operations()}
    assert {"PartitionedCall", "StatefulPartitionedCall"} & names  # compiled
    assert (gradient(x, patches) == ops.fold(patches, size, kernel, **window)).numpy().all()


@settings(deadline=None, max_examples=30)
@given(case=shapes.windows())
@example(case=shapes.LOPSIDED)
def test_columns_are_the_patches_transposed(case):
    image, kernel, window = case
    x = random(*image)
    laid = geometry.window(kernel, **window)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        columns, patches = unfold_columns(x, laid), ops.unfold(x, *laid)
        rows = tf.reshape(patches, [-1, max(1, patches.shape[3])])
    dy = random(*columns.shape, seed=1)
    assert (columns.numpy() == rows.numpy().reshape(columns.shape[::-1]).T).all()
    by_columns = tape.gradient(columns, x, dy)
    by_patches = tape.gradient(patches, x, tf.reshape(tf.transpose(dy), patches.shape))
    assert oracle.error(by_columns, by_patches) == 0
