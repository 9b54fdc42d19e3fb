"""GoogLeNet: nine Inception-v1 modules."""

from __future__ import annotations

import numpy as np

from hw2.layers.conv import Conv
from hw2.layers.dense import Dense
from hw2.layers.dropout import Dropout
from hw2.layers.inception import InceptionV1
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import MaxPool, global_mean
from hw2.layers.sequential import Layer, Sequential, relu
from hw2.models.stem import Stem, check_stem

# Towers 1x1, 3x3, 5x5 and pool, then the bottlenecks before 3x3 and 5x5: table 1 of the paper.
MODULES = {
    "inception3a": ((64, 128, 32, 32), (96, 16)),
    "inception3b": ((128, 192, 96, 64), (128, 32)),
    "inception4a": ((192, 208, 48, 64), (96, 16)),
    "inception4b": ((160, 224, 64, 64), (112, 24)),
    "inception4c": ((128, 256, 64, 64), (128, 24)),
    "inception4d": ((112, 288, 64, 64), (144, 32)),
    "inception4e": ((256, 320, 128, 128), (160, 32)),
    "inception5a": ((256, 320, 128, 128), (160, 32)),
    "inception5b": ((384, 384, 128, 128), (192, 48)),
}


def googlenet(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
    stem: Stem = "imagenet",
) -> Sequential:
    """Makes GoogLeNet: a stem, nine modules, a mean over all positions, dropout, a linear layer.

    Batch norm takes the place of the paper's local response normalization, and follows each
    module. With it the paper's two auxiliary classifiers are not needed.

    Args:
      image_shape: (H, W, C) of the images, of any size.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.
      stem: "imagenet", which reduces the sides to an eighth, or "small", which keeps them.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Raises:
      ValueError: `stem` has no such name.

    Source: Szegedy et al., "Going Deeper with Convolutions", 2014, arxiv.org/abs/1409.4842.
    """
    check_stem(stem)
    rng = np.random.default_rng(seed)
    large, channels = stem == "imagenet", image_shape[2]
    first = (7, 2, ((3, 3), (3, 3))) if large else (3, 1, "SAME")
    kernel, strides, padding = first
    stages: dict[str, Layer] = {
        "conv1": Conv(channels, 64, kernel, strides=strides, padding=padding, rng=rng, l2=l2),
        "relu1": relu,
    }
    if large:
        stages["pool1"] = MaxPool()
    stages |= {
        "norm1": BatchNorm(64),
        "conv2": Conv(64, 64, 1, rng=rng, l2=l2),
        "relu2": relu,
        "conv3": Conv(64, 192, 3, rng=rng, l2=l2),
        "relu3": relu,
        "norm2": BatchNorm(192),
    }
    if large:
        stages["pool2"] = MaxPool()
    channels = 192
    for name, (towers, bottlenecks) in MODULES.items():
        if name in ("inception4a", "inception5a"):
            stages[f"pool{name[-2]}"] = MaxPool()
        stages[name] = InceptionV1(channels, towers, bottlenecks, rng=rng, l2=l2)
        channels = sum(towers)
    stages["mean"] = global_mean
    stages["dropout"] = Dropout(0.4)
    stages["linear"] = Dense(channels, num_classes, rng=rng, l2=l2)
    return Sequential(stages)
