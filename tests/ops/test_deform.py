"""Deformable convolution: worked examples, definition, offsets at the edges, refusals."""

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from shapes import FLOAT64, random

from hw2 import ops
from hw2.ops import geometry
from hw2.ops.verify import definition

X = tf.reshape(tf.range(1.0, 10.0), [1, 3, 3, 1])
ONE = tf.ones([1, 1, 1, 1])


def moved(down, right):
    """The image as read by a window of one tap that is moved by the same offset everywhere."""
    offsets = tf.tile(tf.constant([[[[down, right]]]], tf.float32), [1, 3, 3, 1])
    return ops.deform_conv2d(X, ONE, offsets)[0, ..., 0].numpy().tolist()


def test_taps_read_where_the_offsets_say():
    assert moved(0, 1) == [[2, 3, 0], [5, 6, 0], [8, 9, 0]]
    assert moved(0.5, 0) == [[2.5, 3.5, 4.5], [5.5, 6.5, 7.5], [3.5, 4, 4.5]]
    assert moved(-1, -1) == [[0, 0, 0], [0, 1, 2], [0, 4, 5]]


@pytest.mark.parametrize("far", [-1e30, -3.5, 3.5, 1e30, float("inf"), float("-inf")])
def test_far_outside_all_is_zero(far):
    assert moved(0, far) == moved(far, 0) == [[0, 0, 0]] * 3


def test_an_offset_that_is_no_number_is_not_hidden():
    assert np.isnan(moved(0, float("nan"))).all()


def test_without_offsets_it_is_conv2d():
    x, w = random(2, 6, 5, 4), random(3, 3, 2, 6)
    y = ops.deform_conv2d(x, w, np.zeros([2, 3, 5, 18]), None, (2, 1))
    assert oracle.error(y, ops.conv2d(x, w, (2, 1))) < FLOAT64


def test_a_mask_multiplies_what_a_tap_reads():
    x, w = random(2, 6, 5, 2), random(3, 3, 2, 3)
    mask = np.zeros([2, 6, 5, 9])
    mask[..., 4] = 2
    y = ops.deform_conv2d(x, w, np.zeros([2, 6, 5, 18]), mask)
    assert oracle.error(y, 2 * ops.conv2d(x, w[1:2, 1:2])) < FLOAT64


def test_padding_that_no_tap_reads_until_it_is_moved():
    """With 10 zeros in front and a stride of 9, the only position is all in the zeros."""
    offsets = np.zeros([1, 1, 1, 2], np.float32)
    offsets[..., :] = 10, 11
    padding = ((10, 0), (10, 0))
    y = ops.deform_conv2d(X, ONE, tf.tile(offsets, [1, 1, 1, 1]), None, 20, padding)
    assert y.numpy().tolist() == [[[[2]]]]


@pytest.mark.parametrize("channels_first", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_definition(channels_first, masked):
    x, w = random(2, 7, 6, 4), random(3, 2, 2, 6, seed=1)
    window = geometry.window((3, 2), (2, 1), ((1, 0), (1, 1)), (1, 2))
    high, wide = definition.positions((7, 6), window)
    offsets, mask = 2 * random(2, high, wide, 24, seed=2), random(2, high, wide, 12, seed=3)
    mask = mask if masked else tf.ones_like(mask)
    inputs = [x, w, offsets, *[mask] * masked]

    def run(x, w, *rest):
        if channels_first:
            x, *rest = (tf.transpose(v, [0, 3, 1, 2]) for v in (x, *rest))
            y = ops.deform_conv2d(x, w, *rest, *[None][masked:], *window[1:], data_format="NCHW")
            return tf.transpose(y, [0, 2, 3, 1])
        return ops.deform_conv2d(x, w, *rest, *[None][masked:], *window[1:])

    y, gradients, dy = shapes.gradients(run, *inputs)
    arrays = (v.numpy() for v in (x, w, offsets, mask))
    expected, by_inputs = definition.deform_conv2d(*arrays, window=window, dy=dy.numpy())
    for a, b in zip([y, *gradients], [expected, *by_inputs], strict=False):
        assert oracle.error(a, b) < FLOAT64


OFFSETS = np.zeros([1, 3, 3, 18], np.float32)
FILTERS = np.zeros([3, 3, 1, 2], np.float32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: ops.deform_conv2d(X, FILTERS, OFFSETS[..., :9]),
            r"offsets must have 18 channels for each group, .* 1 channels of x .* got 9",
        ),
        (
            lambda: ops.deform_conv2d(X, FILTERS, np.tile(OFFSETS, 2)),
            r"offsets must have 18 channels for each group, .* 1 channels of x .* got 36",
        ),
        (
            lambda: ops.deform_conv2d(X, FILTERS, OFFSETS, strides=2),
            r"offsets must have the images and positions of the result, 1x2x2, got shape \(1, 3",
        ),
        (
            lambda: ops.deform_conv2d(X, FILTERS, OFFSETS, OFFSETS[..., :8]),
            r"mask must have 9 channels for each group",
        ),
        (
            lambda: ops.deform_conv2d(
                tf.tile(X, [1, 1, 1, 2]), np.tile(FILTERS, (1, 1, 2, 1)), OFFSETS, OFFSETS
            ),
            r"mask must have a value for each of the 9 pairs of offsets, got 18",
        ),
        (
            lambda: ops.deform_conv2d(X, FILTERS, np.float64(OFFSETS)),
            r"offsets must be float32 of rank 4, as x, got float64",
        ),
        (
            lambda: ops.deform_conv2d(X, FILTERS, OFFSETS, bias=np.zeros(3, np.float32)),
            r"bias must be \[2\], one for each filter, got",
        ),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
