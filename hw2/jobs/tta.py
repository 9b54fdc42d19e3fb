"""Test-time augmentation: a model that looks at each image several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from rich.console import Console

from hw2.jobs.spec import Spec

Model = Callable[..., tf.Tensor]


class Flips(tf.Module):
    """Answers by the mean of the logits of each image and of its mirror image.

    For a softmax, the mean of the logits is the normalized geometric mean of the two
    probabilities. Every layer sees both images in one batch.

    Cost: twice the time and memory of the model.
    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    2012, section 4.1, which averages probabilities.
    """

    def __init__(self, model: Model):
        super().__init__()
        self.model = model

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps `[N, H, W, C]` to logits `[N, classes]`.

        Raises:
          ValueError: In training.
        """
        if training:
            raise ValueError("flips at test time must have training=False, got True.")
        return over_flips(lambda both: self.model(both, training=False), images)


def over_flips(compute: Callable[[tf.Tensor], Any], images: tf.Tensor) -> Any:
    """Computes the mean over each image of `[N, H, W, C]` and its mirror image.

    Args:
      compute: Maps a batch to a tensor, or to a tuple of tensors, with a row for each image.
      images: The batch; `compute` sees twice as many images at once.
    """
    found = compute(tf.concat([images, tf.reverse(images, [2])], 0))
    return tf.nest.map_structure(lambda rows: sum(tf.split(rows, 2)) / 2, found)


def augmented(model: tf.Module, tta: str) -> tf.Module:
    """Wraps a model as `--tta` says; its weights may be set before or after."""
    return Flips(model) if tta == "flip" else model


def warn(tta: str, spec: Spec, out: Console) -> None:
    """Says so if the model has not been trained on what it will look at."""
    if tta == "flip" and not spec["preprocessing"]["flip"]:
        out.print(
            "  note: --tta=flip, but this run was trained without flips (--noflip): its answers "
            "for mirror images may be wrong"
        )


def in_words(tta: str) -> str:
    """What to add to a line about a result."""
    return ", mean over flips" if tta == "flip" else ""
