"""The residual blocks of a model in order, and how often stochastic depth drops each."""

from __future__ import annotations

import tensorflow as tf

from hw2.layers.inverted_residual import InvertedResidual
from hw2.layers.residual import BasicBlock, Bottleneck
from hw2.layers.sequential import Sequential, flat

Block = BasicBlock | Bottleneck | InvertedResidual


def blocks(model: tf.Module) -> list[Block]:
    """The blocks of a model that add their input, from the first to the last."""
    if not isinstance(model, Sequential):
        return []
    found = [layer for _, layer in flat(model)]
    return [b for b in found if isinstance(b, Block) and getattr(b, "adds", True)]


def drop(model: tf.Module, rate: float) -> None:
    """Lets stochastic depth drop blocks at a rate that rises linearly with depth.

    Args:
      model: A model with residual blocks.
      rate: That of the last block; of block l of L it is `rate * l / L`.

    Source: Huang et al., "Deep Networks with Stochastic Depth", 2016, arxiv.org/abs/1603.09382.
    """
    found = blocks(model)
    for number, block in enumerate(found, start=1):
        block.drop_rate = rate * number / len(found)
