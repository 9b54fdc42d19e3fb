"""SqueezeNet 1.1: 1x1 and 3x3 convolutions alone, and fifty times fewer weights than AlexNet."""

from __future__ import annotations

import numpy as np

from hw2.layers.conv import Conv
from hw2.layers.dropout import Dropout
from hw2.layers.fire import Fire
from hw2.layers.pool import MaxPool, global_mean
from hw2.layers.sequential import Layer, Sequential

FIRES = {  # channels of the 1x1 that narrows, and of each of the two that follow
    "fire2": (16, 64),
    "fire3": (16, 64),
    "fire4": (32, 128),
    "fire5": (32, 128),
    "fire6": (48, 192),
    "fire7": (48, 192),
    "fire8": (64, 256),
    "fire9": (64, 256),
}
POOLED = ("fire3", "fire5")  # a pool follows


def squeezenet(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
) -> Sequential:
    """Makes a convolution, eight fire modules, and a 1x1 convolution to the classes.

    The logits are the means over all positions of what that last convolution gives, after ReLU.

    Args:
      image_shape: (H, W, C) of the images, of any size.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016,
    arxiv.org/abs/1602.07360; version 1.1 is that of github.com/forresti/SqueezeNet.
    """
    rng = np.random.default_rng(seed)
    padding = "VALID" if min(image_shape[:2]) >= 3 else "SAME"
    first = Conv(image_shape[2], 64, 3, strides=2, padding=padding, relu=True, rng=rng, l2=l2)
    stages: dict[str, Layer] = {"conv1": first, "pool1": MaxPool(3, 2, "VALID")}
    channels = 64
    for name, (squeeze, expand) in FIRES.items():
        stages[name] = Fire(channels, squeeze, expand, rng=rng, l2=l2)
        channels = 2 * expand
        if name in POOLED:
            stages[name.replace("fire", "pool")] = MaxPool(3, 2, "VALID")
    stages["dropout"] = Dropout(0.5)
    stages["conv10"] = Conv(channels, num_classes, 1, relu=True, rng=rng, l2=l2)
    stages["mean"] = global_mean
    return Sequential(stages)
