"""Layers of signals, volumes, transposed, separable, deformable and octave convolution."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from hw2 import layers, ops
from hw2.layers.pool import global_mean
from tests.layers import near

FLOAT32 = 1e-5  # a few hundred float32 sums, each rounded to 6e-8
close = functools.partial(near.close, bound=FLOAT32)


def values(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def test_conv1d_and_conv3d(rng):
    conv = layers.Conv1D(4, 6, 5, strides=2, groups=2, relu=True, rng=rng)
    conv.b.assign(values(rng, 6))
    x = values(rng, 2, 9, 4)
    halves = [
        tf.nn.conv1d(x[..., 2 * k : 2 * k + 2], conv.w[..., 3 * k : 3 * k + 3], 2, "SAME")
        for k in range(2)
    ]
    close(conv(x), tf.nn.relu(tf.concat(halves, 2) + conv.b))
    conv = layers.Conv3D(3, 5, (2, 3, 1), strides=(1, 2, 1), rng=rng)
    conv.b.assign(values(rng, 5))
    x = values(rng, 2, 4, 5, 6, 3)
    close(conv(x), tf.nn.conv3d(x, conv.w, [1, 1, 2, 1, 1], "SAME") + conv.b)
    close(layers.BatchNorm(5)(conv(x), training=False), conv(x) / np.sqrt(1.001))
    close(global_mean(x), x.mean((1, 2, 3)))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_transposed_layers(rng, padding):
    up = layers.ConvTranspose(3, 4, 3, padding=padding, rng=rng)
    up.b.assign(values(rng, 4))
    x = values(rng, 2, 4, 5, 3)
    shape = [2, 8, 10, 4] if padding == "SAME" else [2, 9, 11, 4]
    close(up(x), tf.nn.conv2d_transpose(x, up.w, shape, 2, padding) + up.b)
    up = layers.Conv1DTranspose(4, 6, 3, groups=2, padding=padding, rng=rng)
    assert up(values(rng, 2, 4, 4)).shape == (2, shape[1], 6)
    up = layers.Conv3DTranspose(3, 2, 2, padding=padding, bias=False, rng=rng)
    x = values(rng, 1, 2, 3, 4, 3)
    close(up(x), tf.nn.conv3d_transpose(x, up.w, [1, 4, 6, 8, 2], 2, padding))


@pytest.mark.parametrize("groups", [1, 4])
def test_transposed_filters_keep_variance_through_relu(rng, groups):
    up = layers.ConvTranspose(64, 64, 4, groups=groups, rng=rng)
    y = up(values(rng, 4, 8, 8, 64))
    assert np.var(y[:, 2:-2, 2:-2]) == pytest.approx(2, rel=0.1)  # of 4096 weights and more


def test_separable_conv(rng):
    conv = layers.SeparableConv(4, 6, 3, strides=2, relu=True, rng=rng)
    x = values(rng, 2, 7, 6, 4)
    expected = tf.nn.separable_conv2d(x, conv.depthwise.w, conv.pointwise.w, [1, 2, 2, 1], "SAME")
    close(conv(x), tf.nn.relu(expected))


def test_deform_conv_begins_as_half_a_convolution_and_learns_to_move(rng):
    conv = layers.DeformConv(4, 6, strides=2, groups=2, offset_groups=2, rng=rng)
    x = values(rng, 2, 7, 6, 4)
    close(conv(x), ops.conv2d(x, conv.w, 2) / 2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(conv(x) ** 2)
    by_moves = tape.gradient(loss, conv.w_moves).numpy()
    assert np.any(by_moves[..., :36])
    assert np.any(by_moves[..., 36:])
    conv.b_moves.assign(np.tile([1.0, 0.0], 27)[:54])  # offsets 1, 0 of 18 taps, a mask of 18
    offsets = np.tile(np.float32([1, 0]), 18) * np.ones([2, 4, 3, 36], np.float32)
    mask = tf.nn.sigmoid(np.tile(np.float32([1, 0]), 9) * np.ones([2, 4, 3, 18], np.float32))
    close(conv(x), ops.deform_conv2d(x, conv.w, offsets, mask, 2))


def test_octave_stack_maps_images_to_images(rng):
    stack = layers.OctaveStack(3, [8, 8, 6], [3, 3, 3], strides=[1, 2, 1], rng=rng)
    x = values(rng, 4, 9, 7, 3)
    assert stack(x, training=True).shape == (4, 5, 4, 6)
    y, low = x, np.zeros([4, 5, 4, 0], np.float32)
    for conv, stride, share in zip(stack.convs, (1, 2, 1), (4, 4, 0), strict=True):
        y, low = ops.octave_conv2d(y, low, conv.w, share, stride)
        y, low = (v / np.sqrt(1.001) for v in (y, low))
        y, low = tf.nn.relu(y), tf.nn.relu(low)
    for norm in (n for norms in stack.norms for n in norms):
        norm.mean.assign(tf.zeros_like(norm.mean))
        norm.variance.assign(tf.ones_like(norm.variance))
    close(stack(x), y)
    plain = layers.OctaveStack(3, [4], [3], alpha=0.0, rng=rng)
    close(plain(x), tf.nn.relu(ops.conv2d(x, plain.convs[0].w) / np.sqrt(1.001)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda rng: layers.Conv3D(4, 6, groups=3, rng=rng),
            "groups must divide .* got 3, 4 and 6",
        ),
        (lambda rng: layers.ConvTranspose(4, 6, groups=4, rng=rng), "groups must divide .* got 4"),
        (lambda rng: layers.ConvTranspose(4, 6, padding="FULL", rng=rng), "padding must be .*FULL"),
        (
            lambda rng: layers.DeformConv(4, 6, offset_groups=3, rng=rng),
            "offset_groups must divide",
        ),
        (lambda rng: layers.OctaveConv(4, 6, low=7, rng=rng), "low must be 0 to 6, .* got 7"),
        (
            lambda rng: layers.OctaveStack(4, [6], [3], alpha=1, rng=rng),
            r"alpha must be in \[0, 1\)",
        ),
        (lambda rng: layers.OctaveStack(4, [6], [3, 3], rng=rng), "must be equally many, got 1, 2"),
    ],
)
def test_refusals(rng, make, words):
    with pytest.raises(ValueError, match=words):
        make(rng)
