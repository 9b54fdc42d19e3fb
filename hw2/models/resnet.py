"""Residual networks of 18, 34 and 50 layers, plain and with squeeze and excitation.

Source: He et al., "Deep Residual Learning for Image Recognition", 2015, arxiv.org/abs/1512.03385;
Hu et al., "Squeeze-and-Excitation Networks", 2017, arxiv.org/abs/1709.01507.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from hw2.layers.dense import Dense
from hw2.layers.pool import global_mean
from hw2.layers.residual import BasicBlock, Bottleneck
from hw2.layers.sequential import Layer, Sequential
from hw2.models import port
from hw2.models.pretrained import NONE, application
from hw2.models.stem import Stem, make_stem

RESNET50 = (3, 4, 6, 3)
WIDTHS = (64, 128, 256, 512)  # channels of the four stages; each but the first halves the sides


def resnet(
    block: type[BasicBlock] | type[Bottleneck],
    depths: tuple[int, int, int, int],
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
    stem: Stem = "imagenet",
    squeeze_excite: bool = False,
    resnet_d: bool = False,
    zero_gamma: bool = False,
    stride_first: bool = False,
    epsilon: float = 1e-5,
) -> Sequential:
    """Makes a stem, four stages of residual blocks, a mean over all positions, a linear layer.

    Args:
      block: The residual block that the stages repeat.
      depths: Number of blocks in each stage.
      image_shape: (H, W, C) of the images, of any size.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.
      stem: "imagenet", which reduces the sides to a quarter, or "small", one 3x3 convolution
        that keeps them.
      squeeze_excite: Whether each block has squeeze and excitation before its sum.
      resnet_d: Whether three 3x3 convolutions replace the 7x7 of the stem, and strided shortcuts
        average pixels rather than skipping some.
      zero_gamma: Whether the scale of each block's last batch norm is 0 at first.
      stride_first: Whether the stride of a `Bottleneck` belongs to its first 1x1, as in Keras,
        rather than to its 3x3.
      epsilon: Added to the variance in the batch norms.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Raises:
      ValueError: `stem` has no such name, or `stride_first` is given for a `BasicBlock`.
    """
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {
        "squeeze_excite": squeeze_excite,
        "pooled_shortcut": resnet_d,
        "zero_gamma": zero_gamma,
        "epsilon": epsilon,
        "l2": l2,
    }
    if stride_first:
        if block is not Bottleneck:
            raise ValueError("stride_first must be for a Bottleneck; a BasicBlock has no 1x1.")
        options["stride_first"] = True
    channels = image_shape[2]
    first = make_stem(channels, WIDTHS[0], stem, deep=resnet_d, epsilon=epsilon, rng=rng, l2=l2)
    stages: dict[str, Layer] = {"stem": first}
    stages |= _stages(block, depths, rng, options)
    stages["pool"] = global_mean
    stages["linear"] = Dense(block.expansion * WIDTHS[-1], num_classes, rng=rng, l2=l2)
    return Sequential(stages)


def _stages(
    block: type[BasicBlock] | type[Bottleneck],
    depths: tuple[int, int, int, int],
    rng: np.random.Generator,
    options: dict[str, Any],
) -> dict[str, Layer]:
    """Makes the four stages of blocks; the first block of each but the first has stride 2."""
    stages: dict[str, Layer] = {}
    channels = WIDTHS[0]
    for index, (width, depth) in enumerate(zip(WIDTHS, depths, strict=True), start=1):
        blocks: dict[str, Layer] = {}
        for number in range(1, depth + 1):
            strides = 2 if index > 1 and number == 1 else 1
            blocks[f"block{number}"] = block(channels, width, strides=strides, rng=rng, **options)
            channels = block.expansion * width
        stages[f"stage{index}"] = Sequential(blocks)
    return stages


def resnet50(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
    stem: Stem = "imagenet",
    resnet_d: bool = False,
    zero_gamma: bool = False,
    pretrained: str = NONE,
    load_pretrained: bool = True,
) -> Sequential:
    """Makes ResNet-50, of `Bottleneck` blocks; the other arguments are those of `resnet`.

    Args:
      pretrained: "none", or Keras's weights: "imagenet" or a file. With Keras's weights strides
        and epsilon are Keras's too, and images must be standardized by the mean and deviation of
        ImageNet. The last layer is new unless there are 1,000 classes.
      load_pretrained: False where all variables will be set from a checkpoint.

    Raises:
      ValueError: Pretrained weights are asked for with another stem, `resnet_d` or `zero_gamma`.
      RunError: The weights cannot be downloaded or read.
    """
    keras = pretrained != NONE
    if keras and (stem != "imagenet" or resnet_d or zero_gamma):
        raise ValueError(
            "pretrained weights must go with stem imagenet, without resnet_d and zero_gamma, "
            f"got {stem}, {resnet_d} and {zero_gamma}."
        )
    model = resnet(
        Bottleneck,
        RESNET50,
        image_shape,
        num_classes,
        seed=seed,
        l2=l2,
        stem=stem,
        resnet_d=resnet_d,
        zero_gamma=zero_gamma,
        stride_first=keras,
        epsilon=port.EPSILON if keras else 1e-5,
    )
    if keras and load_pretrained:
        source = application(tf.keras.applications.ResNet50, pretrained)
        port.to_resnet50(source, model, standardized=True)
    return model


resnet18 = functools.partial(resnet, BasicBlock, (2, 2, 2, 2))
resnet34 = functools.partial(resnet, BasicBlock, (3, 4, 6, 3))
se_resnet18 = functools.partial(resnet18, squeeze_excite=True)
se_resnet34 = functools.partial(resnet34, squeeze_excite=True)
se_resnet50 = functools.partial(resnet, Bottleneck, RESNET50, squeeze_excite=True)
