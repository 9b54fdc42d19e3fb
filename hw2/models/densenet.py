"""Densely connected networks: DenseNet-121, and one of adjustable depth for fine-grained classes.

Source: Huang et al., "Densely Connected Convolutional Networks", 2016, arxiv.org/abs/1608.06993.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from hw2.layers.dense import Dense
from hw2.layers.dense_block import dense_block, transition
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import global_mean
from hw2.layers.sequential import Layer, Sequential, relu
from hw2.models import port
from hw2.models.pretrained import NONE, application
from hw2.models.stem import Stem, make_stem


def densenet(
    depths: Sequence[int],
    growth: int,
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
    stem: Stem = "imagenet",
    epsilon: float = 1e-5,
) -> Sequential:
    """Makes a stem, dense blocks with transitions, a mean over all positions and a linear layer.

    Args:
      depths: Number of layers in each block; each transition halves channels and sides.
      growth: Channels that a layer appends; the stem makes twice as many.
      image_shape: (H, W, C) of the images, of any size.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.
      stem: "imagenet", which reduces the sides to a quarter, or "small", one 3x3 convolution
        that keeps them and has no batch norm of its own.
      epsilon: Added to the variance in the batch norms.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Raises:
      ValueError: `stem` has no such name.
    """
    rng = np.random.default_rng(seed)
    channels = 2 * growth
    first = make_stem(image_shape[2], channels, stem, epsilon=epsilon, rng=rng, l2=l2)
    if stem == "small":  # the first layer of a block begins with batch norm and ReLU itself
        first = Sequential({"conv1": first.stages["conv1"]})
    stages: dict[str, Layer] = {"stem": first}
    for number, depth in enumerate(depths, start=1):
        stages[f"block{number}"] = dense_block(
            channels, depth, growth, epsilon=epsilon, rng=rng, l2=l2
        )
        channels += depth * growth
        if number < len(depths):
            stages[f"transition{number}"] = transition(
                channels, channels // 2, epsilon=epsilon, rng=rng, l2=l2
            )
            channels //= 2
    stages["norm"] = BatchNorm(channels, epsilon=epsilon)
    stages["relu"] = relu
    stages["mean"] = global_mean
    stages["linear"] = Dense(channels, num_classes, rng=rng, l2=l2)
    return Sequential(stages)


def densenet121(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
    stem: Stem = "imagenet",
    pretrained: str = NONE,
    load_pretrained: bool = True,
) -> Sequential:
    """Makes DenseNet-121: four blocks of 6, 12, 24 and 16 layers.

    The other arguments are those of `densenet`.

    Args:
      pretrained: "none", or Keras's weights: "imagenet" or a file. With Keras's weights epsilon
        is Keras's too, and images must be standardized by the mean and deviation of ImageNet.
        The last layer is new unless there are 1,000 classes.
      load_pretrained: False where all variables will be set from a checkpoint.

    Raises:
      ValueError: Pretrained weights are asked for with another stem.
      RunError: The weights cannot be downloaded or read.
    """
    keras = pretrained != NONE
    if keras and stem != "imagenet":
        raise ValueError(f"pretrained weights must go with stem imagenet, got {stem}.")
    epsilon = port.EPSILON if keras else 1e-5
    depths = (6, 12, 24, 16)
    model = densenet(
        depths, 32, image_shape, num_classes, seed=seed, l2=l2, stem=stem, epsilon=epsilon
    )
    if keras and load_pretrained:
        port.to_densenet121(application(tf.keras.applications.DenseNet121, pretrained), model)
    return model


def densenet_fine(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 1e-4,
    stem: Stem = "imagenet",
    bottlenecks: int = 8,
    growth: int = 12,
) -> Sequential:
    """Makes a DenseNet of three equal blocks, like the paper's DenseNet-BC for small images.

    The other arguments are those of `densenet`.

    Args:
      bottlenecks: Number of layers in each block.
      growth: Channels that a layer appends.
    """
    depths = [bottlenecks] * 3
    return densenet(depths, growth, image_shape, num_classes, seed=seed, l2=l2, stem=stem)
