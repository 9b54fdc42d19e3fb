"""EfficientNet-Lite0: inverted residual blocks without squeeze and excitation."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.dense import Dense
from hw2.layers.dropout import Dropout
from hw2.layers.inverted_residual import InvertedResidual
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import global_mean
from hw2.layers.sequential import Layer, Sequential

# Blocks in a row, side of their filters, stride of the first, expansion, channels: table 1 of the
# paper, which all EfficientNets scale.
ROWS = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280  # channels of the first convolution, and of the last
EPSILON = 1e-3


def efficientnet_lite0(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
) -> Sequential:
    """Makes a 3x3 convolution, sixteen inverted residual blocks, a 1x1, a mean, a linear layer.

    Args:
      image_shape: (H, W, C) of the images, of any size.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and the last matrix.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
    2019, arxiv.org/abs/1905.11946. Lite, without squeeze and excitation and with ReLU cut off at 6
    for swish, is that of github.com/tensorflow/tpu, whose stochastic depth is left out.
    """
    rng = np.random.default_rng(seed)
    stem = Conv(image_shape[2], STEM, 3, strides=2, bias=False, rng=rng, l2=l2)
    stages: dict[str, Layer] = {"stem": stem, "norm1": BatchNorm(STEM, epsilon=EPSILON)}
    stages["relu1"] = relu6
    channels, number = STEM, 0
    for repeats, kernel, strides, expansion, out_channels in ROWS:
        for index in range(repeats):
            number += 1
            stages[f"block{number}"] = InvertedResidual(
                channels,
                out_channels,
                kernel,
                expansion=expansion,
                strides=strides if index == 0 else 1,
                epsilon=EPSILON,
                rng=rng,
                l2=l2,
            )
            channels = out_channels
    stages["head"] = Conv(channels, HEAD, 1, bias=False, rng=rng, l2=l2)
    stages["norm2"] = BatchNorm(HEAD, epsilon=EPSILON)
    stages["relu2"] = relu6
    stages["mean"] = global_mean
    stages["dropout"] = Dropout(0.2)
    stages["linear"] = Dense(HEAD, num_classes, rng=rng, l2=l2)
    return Sequential(stages)


def relu6(x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Returns x cut off below 0 and above 6; a stage for `Sequential`."""
    return tf.nn.relu6(x)
