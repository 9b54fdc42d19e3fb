"""The features of images: what the last dense layer of a model is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from hw2.errors import RunError
from hw2.jobs import tta
from hw2.layers.dense import Dense
from hw2.layers.sequential import Sequential, flat


def extractor(
    model: tf.Module, run: str | Path
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """Splits a model before its last dense layer.

    Args:
      model: A sequence of stages, or such a model that `tta.augmented` has wrapped; its features
        are then the means over the views, as its logits are.
      run: Where the model is from, for the message.

    Returns:
      A function from preprocessed images `[N, H, W, C]` to features `[N, F]`, which the last
      dense layer is given, and logits `[N, classes]`.

    Raises:
      RunError: The model is no sequence of stages, or has no dense layer.
    """
    if isinstance(model, tta.Flips):
        plain = extractor(model.model, run)
        return lambda images: tta.over_flips(plain, images, model.tta)
    layers, last = _divided(model, run)

    def compute(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x = images
        for layer in layers[:last]:
            x = layer(x, training=False)
        y = x
        for layer in layers[last:]:
            y = layer(y, training=False)
        return x, y

    return compute


def size(model: tf.Module, run: str | Path) -> int:
    """The number of features of an image; errors are those of `extractor`."""
    if isinstance(model, tta.Flips):
        return size(model.model, run)
    layers, last = _divided(model, run)
    return int(layers[last].w.shape[0])


def _divided(model: tf.Module, run: str | Path) -> tuple[list[Any], int]:
    """The layers of a model, and the place of the last dense one."""
    layers = [layer for _, layer in flat(model)] if isinstance(model, Sequential) else []
    dense = [number for number, layer in enumerate(layers) if isinstance(layer, Dense)]
    if not dense:
        raise RunError(
            f"no features in {run} - features are what the last dense layer is given, and this "
            "model has none; train a model that ends in one, such as simple_cnn or resnet18"
        )
    return layers, dense[-1]
