"""The stages of a model, one after another."""

from __future__ import annotations

import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.sequential import Sequential, flat


def outputs(model: Sequential, images: tf.Tensor) -> list[tuple[str, tf.Tensor]]:
    """Returns the name and the output of every stage for images `[N, H, W, C]`."""
    found, x = [], images
    for name, stage in flat(model):
        x = stage(x, training=False)
        found.append((name, x))
    return found


def first_conv(model: Sequential) -> tuple[str, Conv] | None:
    """Returns the name and layer of the first convolution, or None if it is not a `Conv`."""
    stages = flat(model)
    name, layer = stages[0]
    if isinstance(layer, Conv):
        return name, layer
    inner = [part for part in getattr(layer, "submodules", ()) if isinstance(part, Conv)]
    return (name, inner[0]) if inner and inner[0].w.shape[0] > 1 else None
