"""Test-time augmentation: a model that looks at each image several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
from rich.console import Console

from hw2.jobs.spec import Spec

Model = Callable[..., tf.Tensor]

# The axes of `[N, H, W, C]` along which images are mirrored, and the flag that trains for it.
FLIPS = {"flip": (2,), "four_flips": (2, 1)}
FLAGS = {2: "flip", 1: "flip_up_down"}


class Flips(tf.Module):
    """Answers by the mean of the logits of each image and of its mirror images.

    For a softmax, the mean of the logits is the normalized geometric mean of the
    probabilities. Every layer sees all views in one batch.

    Cost: the time and memory of the model times the number of views, two or four.
    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    2012, section 4.1, which averages probabilities.
    """

    def __init__(self, model: Model, tta: str = "flip"):
        """Wraps a model; `tta` is a name of `FLIPS`."""
        super().__init__()
        self.model = model
        self.tta = tta

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps `[N, H, W, C]` to logits `[N, classes]`.

        Raises:
          ValueError: In training.
        """
        if training:
            raise ValueError("flips at test time must have training=False, got True.")
        return over_flips(lambda views: self.model(views, training=False), images, self.tta)


def over_flips(compute: Callable[[tf.Tensor], Any], images: tf.Tensor, tta: str) -> Any:
    """Computes the mean over each image of `[N, H, W, C]` and its mirror images.

    Args:
      compute: Maps a batch to a tensor, or to a tuple of tensors, with a row for each image.
      images: The batch; `compute` sees two or four times as many images at once.
      tta: A name of `FLIPS`.
    """
    views = [images]
    for axis in FLIPS[tta]:
        views += [tf.reverse(view, [axis]) for view in views]
    found = compute(tf.concat(views, 0))
    return tf.nest.map_structure(lambda rows: sum(tf.split(rows, len(views))) / len(views), found)


def augmented(model: tf.Module, tta: str) -> tf.Module:
    """Wraps a model as `--tta` says; its weights may be set before or after."""
    return Flips(model, tta) if tta in FLIPS else model


def warn(tta: str, spec: Spec, out: Console) -> None:
    """Says so if the model has not been trained on what it will look at."""
    flags = [FLAGS[axis] for axis in FLIPS.get(tta, ())]
    if lacking := [f"--{flag}" for flag in flags if not spec["preprocessing"][flag]]:
        out.print(
            f"  note: --tta={tta}, but this run was trained without {' and '.join(lacking)}: its "
            "answers for mirror images may be wrong"
        )


def in_words(tta: str) -> str:
    """What to add to a line about a result."""
    return {"flip": ", mean over flips", "four_flips": ", mean over four flips"}.get(tta, "")
