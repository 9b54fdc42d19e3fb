"""The switches of residual networks."""

import numpy as np
import pytest
import tensorflow as tf

from hw2.layers.residual import BasicBlock
from hw2.models import resnet, summary


def tiny(shape=(32, 32, 3), **options):
    return resnet.resnet(BasicBlock, (1, 1, 1, 1), shape, 5, seed=0, **options)


@pytest.mark.parametrize(
    ("stem", "deep", "side"),
    [("imagenet", False, 1), ("imagenet", True, 1), ("small", False, 4), ("small", True, 4)],
)
def test_stem_decides_how_small_the_picture_gets(stem, deep, side):
    model = tiny(stem=stem, resnet_d=deep)
    rows = {row.layer: row.output for row in summary.summarize(model, (32, 32, 3))}
    assert rows["stage4/block1"] == (side, side, 512)
    assert rows["linear"] == (5,)


def test_zero_gamma_leaves_the_shortcuts_alone():
    model = tiny(zero_gamma=True)
    names = [f"stage{i}" for i in range(1, 5)]
    blocks = [block for name in names for block in model.stages[name].stages.values()]
    assert all(not np.any(block.norm2.scale) for block in blocks)
    assert all(np.all(block.norm1.scale == 1) for block in blocks)


@pytest.mark.parametrize("shape", [(1, 1, 3), (33, 18, 1)])
def test_any_image_size_and_channels(shape):
    for stem in ("imagenet", "small"):
        assert tiny(shape, stem=stem)(tf.zeros([2, *shape])).shape == (2, 5)


def test_keras_form_has_no_stem_for_small_pictures():
    with pytest.raises(ValueError, match="must go with stem imagenet, without resnet_d and zero_g"):
        resnet.resnet50((32, 32, 3), 5, seed=0, stem="small", pretrained="imagenet")


def test_refusals():
    with pytest.raises(ValueError, match="stem must be imagenet or small, got 'large'"):
        tiny(stem="large")
    with pytest.raises(ValueError, match="stride_first must be for a Bottleneck"):
        tiny(stride_first=True)
