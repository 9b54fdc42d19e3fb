"""Stochastic depth: which blocks are dropped, how often, and that evaluation has nothing of it."""

import numpy as np
import pytest
import tensorflow as tf

from hw2.config.settings import Config
from hw2.errors import UsageError
from hw2.jobs import spec
from hw2.layers import depth
from hw2.layers.dropout import stochastic_depth
from hw2.layers.residual import BasicBlock, Bottleneck
from hw2.models import MODELS
from tests.training.compare import assert_same_run, last

SEED = tf.constant([3, 4])
SIDE = 4


def test_whole_images_are_dropped_and_the_rest_keeps_the_mean():
    x = tf.ones([4000, 2, 2, 3])
    y = stochastic_depth(x, rate=0.25, training=True, seed=SEED).numpy()
    assert {len(np.unique(image)) for image in y} == {1}
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    # Four deviations of the share of 4000 draws with probability 1/4.
    assert abs(np.mean(y == 0) - 0.25) < 4 * (0.25 * 0.75 / 4000) ** 0.5
    assert stochastic_depth(x, rate=0.25, training=False, seed=None) is x
    assert stochastic_depth(x, rate=0.0, training=True, seed=None) is x
    with pytest.raises(ValueError, match="must have a seed"):
        stochastic_depth(x, rate=0.25, training=True, seed=None)


@pytest.mark.parametrize("kind", [BasicBlock, Bottleneck])
def test_a_dropped_block_is_its_shortcut(kind):
    rng = np.random.default_rng(0)
    channels = 8 * kind.expansion
    block = kind(channels, 8, rng=rng)
    x = tf.constant(rng.standard_normal([64, SIDE, SIDE, channels]), tf.float32)
    whole = block(x, training=True, seed=SEED).numpy()
    block.drop_rate = 0.5
    y = block(x, training=True, seed=SEED).numpy()
    short = tf.nn.relu(x).numpy()
    dropped = np.array([np.array_equal(a, b) for a, b in zip(y, short, strict=True)])
    assert 16 < dropped.sum() < 48
    assert not any(np.array_equal(a, b) for a, b in zip(whole, short, strict=True))
    still = block(x).numpy()
    block.drop_rate = 0.0
    np.testing.assert_array_equal(still, block(x))


def test_the_rate_rises_linearly_to_the_last_block():
    model = MODELS["resnet18"]((8, 8, 3), 5, seed=0, stem="small")
    depth.drop(model, 0.4)
    rates = [block.drop_rate for block in depth.blocks(model)]
    np.testing.assert_allclose(rates, 0.4 * np.arange(1, 9) / 8)
    assert len(depth.blocks(MODELS["efficientnet_lite0"]((32, 32, 3), 5, seed=0))) == 9


def test_a_model_without_blocks_is_refused():
    with pytest.raises(UsageError, match=r"must go with a model of residual blocks, as resnet18"):
        spec.check_model(Config(model="lenet5", stochastic_depth=0.1, image_size=28))


@pytest.mark.slow
def test_stopped_and_resumed_on_two_devices_a_run_ends_bit_for_bit(train, stop, tmp_path):
    flags = ["--model=resnet9", "--width=4", "--stochastic_depth=0.5", "--max_steps=4"]
    train(tmp_path / "whole", *flags, mirrored=True)
    stop(tmp_path / "cut", 2, *flags, mirrored=True)
    train(tmp_path / "cut", *flags, mirrored=True)
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    identity = last(tmp_path / "cut")[2]["identity"]
    assert identity["model_options"]["stochastic_depth"] == 0.5
    rates = [block.drop_rate for block in depth.blocks(spec.build_model(identity))]
    assert rates == [0.25, 0.5]
