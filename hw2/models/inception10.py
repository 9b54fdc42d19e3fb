"""An inception network of ten layers with weights."""

from __future__ import annotations

import numpy as np

from hw2.layers.conv import conv_stack
from hw2.layers.dense import Dense, dense_stack
from hw2.layers.dropout import SpatialDropout
from hw2.layers.inception import InceptionV2
from hw2.layers.pool import MaxPool
from hw2.layers.sequential import Sequential, flatten


def inception10(
    image_shape: tuple[int, int, int], num_classes: int, *, seed: int, l2: float = 1e-3
) -> Sequential:
    """Makes two convolutions, two Inception-v2 modules, a dense layer and a linear one.

    Args:
      image_shape: (H, W, C) of the images, of any size.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on the dense layer's weights.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.
    """
    rng = np.random.default_rng(seed)
    height, width, channels = image_shape
    positions = -(-height // 16) * -(-width // 16)  # four strides of 2, each rounded up
    return Sequential(
        {
            "conv_stack1": conv_stack(channels, [64, 128], [3, 3], strides=[1, 2], rng=rng),
            "pool1": MaxPool(),
            "inception2": InceptionV2(128, (64, 96, 96, 64), (64, 64), rng=rng),
            "pool2": MaxPool(),
            "dropout2": SpatialDropout(0.25),
            "inception3": InceptionV2(320, (32, 64, 64, 32), (96, 96), rng=rng),
            "pool3": MaxPool(),
            "dropout3": SpatialDropout(0.25),
            "flatten": flatten,
            "dense1": dense_stack(positions * 192, 256, keep=0.5, l2=l2, rng=rng),
            "softmax_linear": Dense(256, num_classes, rng=rng),
        }
    )
