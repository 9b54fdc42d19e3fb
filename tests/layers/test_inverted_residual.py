"""Depthwise layers, inverted residual blocks, fire modules and frozen norms by their definition."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from hw2 import layers, ops
from hw2.layers import norm
from tests.layers import near

FLOAT32 = 2e-5  # sums of a hundred float32, through three convolutions
close = functools.partial(near.close, bound=FLOAT32)


def normalized(y, layer):
    """By moving statistics that are not 0 and 1."""
    channels = layer.mean.shape[0]
    layer.mean.assign(np.linspace(-0.5, 0.5, channels))
    layer.variance.assign(np.linspace(0.5, 2, channels))
    return (y - layer.mean.numpy()) / np.sqrt(layer.variance.numpy() + layer.epsilon)


@pytest.mark.parametrize("algorithm", ["auto", "im2col", "native"])
@pytest.mark.parametrize(("kernel", "strides"), [(3, 1), (5, 2)])
def test_depthwise_conv_has_one_filter_for_each_channel(rng, algorithm, kernel, strides):
    layer = layers.DepthwiseConv(4, kernel, strides=strides, rng=rng)
    x = rng.standard_normal((2, 7, 8, 4)).astype(np.float32)
    each = [
        tf.nn.conv2d(x[..., c : c + 1], layer.w[:, :, c : c + 1], strides, "SAME") for c in range(4)
    ]
    with ops.algorithm(algorithm):
        close(layer(x), np.concatenate(each, 3))
    assert np.std(layer.w) == pytest.approx(np.sqrt(2) / kernel, rel=0.3)  # an output has k*k


@pytest.mark.parametrize(("out_channels", "strides"), [(5, 1), (5, 2), (6, 1)])
def test_inverted_residual_adds_its_input_where_shapes_agree(rng, out_channels, strides):
    block = layers.InvertedResidual(5, out_channels, 3, expansion=4, strides=strides, rng=rng)
    x = rng.standard_normal((2, 6, 7, 5)).astype(np.float32)
    wide = tf.nn.conv2d(10 * x, block.expand.w, 1, "SAME").numpy()
    y = np.clip(normalized(wide, block.norm1), 0, 6)
    assert (y == 6).any()
    step = [1, strides, strides, 1]
    y = tf.nn.depthwise_conv2d(y, block.depthwise.w, step, "SAME").numpy()
    y = np.clip(normalized(y, block.norm2), 0, 6)
    y = normalized(tf.nn.conv2d(y, block.project.w, 1, "SAME").numpy(), block.norm3)
    same = out_channels == 5 and strides == 1
    close(block(10 * x), y + 10 * x if same else y)


def test_inverted_residual_without_expansion_has_no_first_convolution(rng):
    block = layers.InvertedResidual(5, 4, 3, expansion=1, rng=rng)
    x = rng.standard_normal((2, 6, 7, 5)).astype(np.float32)
    y = tf.nn.depthwise_conv2d(x, block.depthwise.w, [1, 1, 1, 1], "SAME").numpy()
    y = np.clip(normalized(y, block.norm2), 0, 6)
    y = normalized(tf.nn.conv2d(y, block.project.w, 1, "SAME").numpy(), block.norm3)
    close(block(x), y)
    assert block.expand is None


def test_fire_puts_two_convolutions_side_by_side(rng):
    fire = layers.Fire(4, 3, 5, rng=rng)
    for conv in (fire.squeeze, fire.expand1, fire.expand3):
        conv.b.assign(rng.standard_normal(conv.b.shape))
    x = rng.standard_normal((2, 6, 7, 4)).astype(np.float32)

    def rectified(x, conv):
        return np.maximum(tf.nn.conv2d(x, conv.w, 1, "SAME") + conv.b, 0)

    y = rectified(x, fire.squeeze)
    close(fire(x), np.concatenate([rectified(y, fire.expand1), rectified(y, fire.expand3)], 3))


def test_a_frozen_norm_keeps_its_statistics_in_training(rng):
    block = layers.InvertedResidual(5, 4, 3, rng=rng)
    x = rng.standard_normal((2, 6, 7, 5)).astype(np.float32)
    norm.freeze(block)
    close(block(x, training=True), block(x))
    assert not block.norm2.mean.numpy().any()
    block.norm2.frozen = False
    block(x, training=True)
    assert block.norm2.mean.numpy().all()
