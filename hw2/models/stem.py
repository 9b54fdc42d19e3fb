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
    inputs: int,
    outputs: int,
    stem: Stem,
    *,
    rng: np.random.Generator,
    deep: bool = False,
    epsilon: float = 1e-5,
    l2: float = 0.0,
) -> Sequential:
    """Makes convolutions with batch norm and ReLU, and a pool.

    Args:
      inputs: Channels of the pictures.
      outputs: Channels of the result.
      stem: "imagenet", 7x7 and pool, which make the sides a quarter; or "small", one 3x3 that
        keeps them.
      rng: Where the first weights come from.
      deep: Whether three 3x3 stand for the 7x7. Source: He et al., "Bag of Tricks for Image
        Classification", 2018, arxiv.org/abs/1812.01187, ResNet-C.
      epsilon: Of the batch norms.
      l2: Weight of the L2 penalty on the filters.

    Returns:
      Stages "conv1", "norm1", "relu1" and so on; `[N, H, W, inputs]` to `[N, H', W', outputs]`.

    Raises:
      ValueError: `stem` has no such name.
    """
    check_stem(stem)
    if stem == "small":
        convs = [(outputs, 3, 1)]
    elif deep:
        convs = [(outputs // 2, 3, 2), (outputs // 2, 3, 1), (outputs, 3, 1)]
    else:
        convs = [(outputs, 7, 2)]
    stages: dict[str, Layer] = {}
    for number, (filters, kernel, strides) in enumerate(convs, start=1):
        side = kernel // 2
        stages[f"conv{number}"] = Conv(
            inputs,
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
        inputs = filters
    if stem == "imagenet":
        stages["pool"] = MaxPool(3, 2, ((1, 1), (1, 1)))
    return Sequential(stages)


def check_stem(stem: str) -> None:
    """Refuses a name that is no stem's."""
    if stem not in get_args(Stem):
        raise ValueError(f"stem must be {' or '.join(get_args(Stem))}, got {stem!r}.")
