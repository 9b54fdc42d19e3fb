"""Grad-CAM: which parts of an image a model bases its prediction on."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
import tensorflow as tf
from PIL import Image

from hw2.layers.sequential import Sequential, flat, outputs

FEWEST = 5  # positions along a side; fewer show no place
_LEAST_SIDE = 84  # pixels of the overlay


def target(traced: Sequence[tuple[str, tf.Tensor]]) -> int | None:
    """Returns the number of the last stage whose maps have at least 5x5 positions, or None."""
    fit = [
        n for n, (_, x) in enumerate(traced) if len(x.shape) == 4 and min(x.shape[1:3]) >= FEWEST
    ]
    return fit[-1] if fit else None


def target_of(model: tf.Module, shape: tuple[int, int, int]) -> int | None:
    """The same for a model that takes images `[N, *shape]`; None for one that is no sequence."""
    if not isinstance(model, Sequential):
        return None
    return target(outputs(model, tf.zeros([1, *shape])))


def heat(
    model: Sequential, images: tf.Tensor, classes: tf.Tensor | np.ndarray, target: int
) -> tf.Tensor:
    """Computes how much each position speaks for a class, from 0 to 1.

    Args:
      model: A sequence of stages.
      images: `[N, H, W, C]` as the model sees them.
      classes: `[N]` int32, the class of each image to explain.
      target: The number of the stage, in the order of `hw2.layers.sequential.flat`.

    Returns:
      `[N, h, w]`, of the size of the stage's maps.

    Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", 2016, arxiv.org/abs/1610.02391.
    """
    layers = [layer for _, layer in flat(model)]
    x = images
    for layer in layers[: target + 1]:
        x = layer(x, training=False)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x
        for layer in layers[target + 1 :]:
            y = layer(y, training=False)
        logits = tf.reduce_sum(tf.gather(y, classes, batch_dims=1))
    weights = tf.reduce_mean(tape.gradient(logits, x), [1, 2], keepdims=True)  # [N, 1, 1, C]
    maps = tf.nn.relu(tf.reduce_sum(weights * x, 3))  # [N, h, w]
    return maps / tf.maximum(tf.reduce_max(maps, [1, 2], keepdims=True), 1e-12)


def overlay(grey: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Lays the heat in colours over a picture: blue where it is cold, and red where it is hot.

    Args:
      grey: uint8 `[H, W]`, the picture; a small one is enlarged.
      heat: `[h, w]`, from 0 to 1, of the same place.

    Returns:
      uint8 `[H, W, 3]`.
    """
    side = max(_LEAST_SIDE, grey.shape[1])
    small = Image.fromarray(grey).resize((side, side * grey.shape[0] // grey.shape[1]))
    warm = Image.fromarray(np.nan_to_num(heat)).resize(small.size, Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(warm), 0, 1)[:, :, None]
    colours = matplotlib.colormaps["turbo"](strength[:, :, 0])[:, :, :3]
    base = 0.15 + 0.7 * np.asarray(small)[:, :, None] / 255
    mixed = base * (1 - 0.65 * strength) + 0.65 * strength * colours
    return np.round(255 * np.clip(mixed, 0, 1)).astype(np.uint8)
