"""The first layers of residual and dense networks."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from hw2.layers.conv import Conv
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import MaxPool
from hw2.layers.sequential import Layer, Sequential, relu

Stem = Literal["imagenet", "small"]


def make_stem(
    in_channels: int,
    out_channels: int,
    stem: Stem,
    *,
    rng: np.random.Generator,
    deep: bool = False,
    epsilon: float = 1e-5,
    l2: float = 0.0,
) -> Sequential:
    """Makes the first convolutions of a network, each with batch norm and ReLU, and a pool.

    Args:
      in_channels: Channels of the pictures.
      out_channels: Channels of the result.
      stem: "imagenet", a 7x7 convolution and a pool, which reduce the sides to a quarter; or
        "small", one 3x3 convolution that keeps them.
      rng: Random generator of the initial weights.
      deep: Whether three 3x3 convolutions replace the 7x7, as in ResNet-C.
      epsilon: Added to the variance in the batch norms.
      l2: Weight of the L2 penalty on the filters.

    Returns:
      Stages "conv1", "norm1", "relu1" and so on, which map `[N, H, W, in_channels]` to
      `[N, H', W', out_channels]`.

    Raises:
      ValueError: `stem` has no such name.

    Source of `deep`: He et al., "Bag of Tricks for Image Classification with Convolutional
    Neural Networks", 2018, arxiv.org/abs/1812.01187.
    """
    check_stem(stem)
    if stem == "small":
        convs = [(out_channels, 3, 1)]
    elif deep:
        convs = [(out_channels // 2, 3, 2), (out_channels // 2, 3, 1), (out_channels, 3, 1)]
    else:
        convs = [(out_channels, 7, 2)]
    stages: dict[str, Layer] = {}
    for number, (filters, kernel, strides) in enumerate(convs, start=1):
        side = kernel // 2
        stages[f"conv{number}"] = Conv(
            in_channels,
            filters,
            kernel,
            strides=strides,
            padding=((side, side), (side, side)),  # as torchvision and Keras
            bias=False,
            rng=rng,
            l2=l2,
        )
        stages[f"norm{number}"] = BatchNorm(filters, epsilon=epsilon)
        stages[f"relu{number}"] = relu
        in_channels = filters
    if stem == "imagenet":
        stages["pool"] = MaxPool(3, 2, ((1, 1), (1, 1)))
    return Sequential(stages)


def check_stem(stem: str) -> None:
    """Raises a `ValueError` if there is no stem of this name."""
    if stem not in get_args(Stem):
        raise ValueError(f"stem must be {' or '.join(get_args(Stem))}, got {stem!r}.")
