"""A residual network of nine layers that trains fast on small images."""

from __future__ import annotations

import numpy as np

from hw2.layers.conv import conv_stack
from hw2.layers.dense import Dense
from hw2.layers.pool import MaxPool, global_mean
from hw2.layers.residual import BasicBlock
from hw2.layers.sequential import Sequential


def resnet9(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
    width: int = 64,
    zero_gamma: bool = False,
) -> Sequential:
    """Makes a convolution, three that double the channels and halve the sides, and two blocks.

    Args:
      image_shape: (H, W, C) of the images, of any size, meant for 28 to 64 pixels.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.
      width: Channels of the first layer; the last convolutions have eight times as many. The cost
        grows with its square.
      zero_gamma: Whether the scale of each block's last batch norm is 0 at first.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: David Page, "How to Train Your ResNet", 2018,
    myrtle.ai/learn/how-to-train-your-resnet; with He's blocks, whose ReLU comes after the sum,
    and the mean over all positions, not the largest value, at the end.
    """
    rng = np.random.default_rng(seed)

    def conv(in_channels: int, out_channels: int) -> Sequential:
        return conv_stack(in_channels, [out_channels], [3], rng=rng, l2=l2)

    def block(channels: int) -> BasicBlock:
        return BasicBlock(channels, channels, rng=rng, zero_gamma=zero_gamma, l2=l2)

    return Sequential(
        {
            "conv1": conv(image_shape[2], width),
            "conv2": conv(width, 2 * width),
            "pool2": MaxPool(2, 2),
            "block2": block(2 * width),
            "conv3": conv(2 * width, 4 * width),
            "pool3": MaxPool(2, 2),
            "conv4": conv(4 * width, 8 * width),
            "pool4": MaxPool(2, 2),
            "block4": block(8 * width),
            "pool": global_mean,
            "linear": Dense(8 * width, num_classes, rng=rng, l2=l2),
        }
    )
