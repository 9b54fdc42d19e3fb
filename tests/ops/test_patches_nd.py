"""Patches of signals and volumes: the definition, adjoints, other numbers of axes, refusals."""

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from shapes import random

from hw2 import ops
from hw2.ops import geometry
from hw2.ops.geometry import Window
from hw2.ops.patches_nd import fold_axes, unfold_axes

SUMS = 1e-14  # fold adds at most a few hundred float64 terms in the tests
OPS = {1: (ops.unfold1d, ops.fold1d), 3: (ops.unfold3d, ops.fold3d)}


def test_patches_of_a_signal():
    x = tf.constant([1.0, 2.0, 3.0, 4.0])[None, :, None]
    patches = ops.unfold1d(x, 3)
    assert patches[0].numpy().tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 0]]
    assert ops.fold1d(patches, 4, 3)[0, :, 0].numpy().tolist() == [2, 6, 9, 8]
    assert (ops.fold1d(patches, 4, 3, reduction="mean").numpy() == x.numpy()).all()


@settings(deadline=None, max_examples=30)
@given(case=st.sampled_from([1, 3]).flatmap(lambda axes: shapes.windows(axes=axes)))
def test_definition_and_adjoint(case):
    image, kernel, window = case
    unfold, fold = OPS[len(kernel)]
    x = random(*image)
    y, (dx,), dy = shapes.gradients(lambda x: unfold(x, kernel, **window), x)
    expected = oracle.unfold(x.numpy(), kernel, **window)
    assert oracle.error(y, expected.reshape(y.shape)) == 0
    of_taps = dy.numpy().reshape(expected.shape)
    assert oracle.error(dx, oracle.fold(of_taps, image[1:-1], kernel, **window)) < SUMS
    assert oracle.error(fold(dy, image[1:-1], kernel, **window), dx) == 0
    shapes.check_adjoint(y, dy, [x], [dx])


def test_volumes_are_unfolded_as_tensorflow_does():
    x = random(2, 5, 6, 7, 3)
    y = ops.unfold3d(x, (3, 2, 2), (1, 2, 3))
    assert (
        (y == tf.extract_volume_patches(x, [1, 3, 2, 2, 1], [1, 1, 2, 3, 1], "SAME")).numpy().all()
    )


def test_images_and_four_axes():
    x = random(2, 5, 6, 3)
    window = geometry.window((3, 2), (2, 1))
    assert (unfold_axes(x, window) == ops.unfold(x, *window)).numpy().all()
    window = Window((2, 1, 3, 2), (1, 2, 1, 1), ((0, 1), (0, 0), (2, 0), (1, 1)), (1, 1, 2, 1))
    x = random(2, 3, 4, 5, 3, 2)
    y = unfold_axes(x, window)
    expected = oracle.unfold(x.numpy(), **window._asdict())
    assert oracle.error(y, expected.reshape(y.shape)) == 0
    folded = fold_axes(y, x.shape[1:-1], window)
    of_window = window._asdict()
    kernel = of_window.pop("kernel")
    assert oracle.error(folded, oracle.fold(expected, x.shape[1:-1], kernel, **of_window)) < SUMS


def test_the_mean_is_the_left_inverse():
    x = random(1, 4, 5, 3, 2)
    patches = ops.unfold3d(x, 3, (1, 2, 1))
    assert oracle.error(ops.fold3d(patches, (4, 5, 3), 3, (1, 2, 1), reduction="mean"), x) < SUMS


def test_low_precision_is_summed_in_float32():
    x = tf.constant(random(1, 8, 8, 8, 4).numpy(), tf.bfloat16)
    folded = ops.fold3d(ops.unfold3d(x, 3), (8, 8, 8), 3)
    assert folded.dtype == tf.bfloat16
    exact = ops.fold3d(ops.unfold3d(tf.cast(x, tf.float64), 3), (8, 8, 8), 3)
    assert oracle.error(folded, exact) < 2**-8


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.unfold1d(np.zeros([3, 3]), 2), r"x must be \[N, W, C\], got shape \(3, 3\)"),
        (lambda: ops.unfold3d(np.zeros([1, 3, 3, 1]), 2), r"x must be \[N, D, H, W, C\], got"),
        (
            lambda: ops.unfold3d(np.zeros([1, 3, 3, 3, 1]), (2, 2)),
            r"kernel must be an int, three ints or a list of five .* got \(2, 2\)",
        ),
        (
            lambda: ops.unfold3d(np.zeros([1, 3, 3, 3, 1]), 2, padding=((1, 1), (0, 0))),
            r'padding must be "SAME", "VALID" or three pairs of zeros, one for each axis, got',
        ),
        (
            lambda: ops.unfold1d(np.zeros([1, 3, 1]), (2, 2)),
            r"kernel must be an int or a list of three with 1 for batch and channels",
        ),
        (
            lambda: ops.fold3d(np.zeros([1, 2, 2, 2, 5]), (3, 3, 3), 2),
            r"patches must be \[N, D', H', W', 8\*C\] for a window of 8 taps, got shape",
        ),
        (
            lambda: ops.fold1d(np.zeros([1, 5, 2]), 3, 2),
            r"patches of these sizes must have 3 positions, got shape \(1, 5, 2\)",
        ),
        (
            lambda: ops.fold3d(np.zeros([1, 2, 2, 2, 8]), (3, 3), 2),
            r"sizes must be 3, one for each axis, got \[3, 3\]",
        ),
        (
            lambda: ops.fold1d(np.zeros([1, 3, 2]), 3, 2, reduction="max"),
            r"reduction must be \"sum\" or \"mean\", got 'max'",
        ),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
