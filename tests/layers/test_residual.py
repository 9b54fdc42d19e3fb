"""Residual blocks and squeeze and excitation by their definition, on TensorFlow's own ops."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from hw2 import layers
from tests.layers import near

FLOAT32 = 2e-5  # sums of a thousand float32, through three convolutions
close = functools.partial(near.close, bound=FLOAT32)
EPSILON = 1e-5


def convolve(x, conv, strides=1, pad=0):
    x = np.pad(np.asarray(x), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    return tf.nn.conv2d(x, conv.w, strides, "VALID").numpy()


def normalize(y):
    return (y - y.mean((0, 1, 2))) / np.sqrt(y.var((0, 1, 2)) + EPSILON)


def relu(y):
    return np.maximum(y, 0)


def test_basic_block_adds_its_input(rng):
    block = layers.BasicBlock(5, 5, rng=rng)
    assert block.shortcut is None
    x = rng.standard_normal((4, 6, 7, 5)).astype(np.float32)
    y = relu(normalize(convolve(x, block.conv1, pad=1)))
    y = normalize(convolve(y, block.conv2, pad=1))
    close(block(x, training=True), relu(x + y))


@pytest.mark.parametrize("size", [6, 7])
def test_strided_basic_block_projects_its_input(rng, size):
    block = layers.BasicBlock(5, 8, strides=2, rng=rng)
    x = rng.standard_normal((4, size, size, 5)).astype(np.float32)
    y = relu(normalize(convolve(x, block.conv1, 2, pad=1)))
    y = normalize(convolve(y, block.conv2, pad=1))
    projected = normalize(convolve(x, block.shortcut.stages["conv"], 2))
    close(block(x, training=True), relu(projected + y))


@pytest.mark.parametrize("stride_first", [False, True])
def test_bottleneck(rng, stride_first):
    block = layers.Bottleneck(6, 4, strides=2, stride_first=stride_first, rng=rng)
    x = rng.standard_normal((4, 8, 8, 6)).astype(np.float32)
    first, second = (2, 1) if stride_first else (1, 2)
    y = relu(normalize(convolve(x, block.conv1, first)))
    y = relu(normalize(convolve(y, block.conv2, second, pad=1)))
    y = normalize(convolve(y, block.conv3))
    projected = normalize(convolve(x, block.shortcut.stages["conv"], 2))
    assert y.shape[3] == 16
    close(block(x, training=True), relu(projected + y))


def test_pooled_shortcut_takes_means_of_four(rng):
    block = layers.BasicBlock(3, 4, strides=2, pooled_shortcut=True, zero_gamma=True, rng=rng)
    x = rng.standard_normal((4, 6, 6, 3)).astype(np.float32)
    means = x.reshape(4, 3, 2, 3, 2, 3).mean((2, 4))
    close(block(x, training=True), relu(normalize(convolve(means, block.shortcut.stages["conv"]))))


@pytest.mark.parametrize("kind", [layers.BasicBlock, layers.Bottleneck])
def test_zero_gamma_makes_a_new_block_its_shortcut(rng, kind):
    block = kind(4 * kind.expansion, 4, zero_gamma=True, squeeze_excite=True, rng=rng)
    x = rng.standard_normal((2, 5, 5, 4 * kind.expansion)).astype(np.float32)
    close(block(x), relu(x))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(block(x, training=True) ** 2)
    last = block.norm2 if kind is layers.BasicBlock else block.norm3
    assert np.any(tape.gradient(loss, last.scale).numpy())  # it can leave zero


def test_squeeze_excite_scales_channels_by_their_means(rng):
    layer = layers.SqueezeExcite(8, reduction=4, rng=rng)
    for dense in (layer.squeeze, layer.excite):
        dense.b.assign(rng.standard_normal(dense.b.shape))
    x = rng.standard_normal((3, 4, 5, 8)).astype(np.float32)
    y = relu(x.mean((1, 2)) @ layer.squeeze.w.numpy() + layer.squeeze.b.numpy())
    assert y.shape == (3, 2)
    y = 1 / (1 + np.exp(-(y @ layer.excite.w.numpy() + layer.excite.b.numpy())))
    close(layer(x), x * y[:, None, None, :])


@pytest.mark.parametrize("kind", [layers.BasicBlock, layers.Bottleneck])
def test_squeeze_excite_comes_before_the_sum(rng, kind):
    block = kind(4 * kind.expansion, 4, squeeze_excite=True, rng=rng)
    shape = (2, 5, 5, 4 * kind.expansion)
    block.squeeze_excite = lambda y: tf.zeros_like(y) - 1
    x = 2 + rng.random(shape, np.float32)
    close(block(x), x - 1)


def test_small_pools_fit_small_pictures():
    x = tf.reshape(tf.range(4.0), [1, 2, 2, 1])
    np.testing.assert_array_equal(layers.MaxPool(3, 2, "VALID")(x), [[[[3]]]])
    np.testing.assert_array_equal(layers.AvgPool(3, 2, "VALID")(x), [[[[1.5]]]])
    np.testing.assert_array_equal(layers.MaxPool(3, 2, ((1, 1), (1, 1)))(-x), [[[[0]]]])
    x = tf.reshape(tf.range(9.0), [1, 3, 3, 1])  # only what is in the picture counts
    np.testing.assert_array_equal(layers.AvgPool()(x)[0, :, :, 0], [[2, 3.5], [6.5, 8]])
