"""What happens inside the model: Grad-CAM, feature maps, filters and the convolution itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hw2.input import pipeline
from hw2.jobs import gradcam, spec
from hw2.layers.sequential import outputs
from hw2.report import convolution, feature_maps, filters, thumbnail
from hw2.report.cards import cards
from hw2.report.scored import ScoredRun

BATCH = 16  # images whose gradients are taken at once


def content(run: ScoredRun, missing: list[str]) -> dict[str, Any]:
    """Looks at one image of each class on its way through the model.

    Returns:
      What the page shows; the reasons of what it cannot show are added to `missing`.
    """
    # Images: of each class one, and the first of them is followed stage by stage.
    rows, classes = run.answers.of_each_class()
    images = _prepared(run, rows)
    traced = outputs(run.model, images[:1])
    followed = cards(run, rows[:1])

    # Which places speak for the guess, and what the stages make of the image.
    found = _gradcam(run, rows, classes, images, traced, missing)
    found |= {"through": followed[0] if followed else None, "maps": feature_maps.strips(traced)}

    # The first layer: its filters, and the convolution computed step by step.
    first = filters.first_conv(run.model)
    if first is None:
        missing.append("no first-layer filters: the model does not begin with a Conv of hw2.layers")
        return found | {"filters": None, "convolution": []}
    name, layer = first
    pixels = run.examples.load(int(run.indices[rows[0]]), 28)
    drawings = [convolution.draw(name, layer, images[0].numpy()), convolution.example(pixels)]
    return found | {"filters": filters.draw(name, layer.w.numpy()), "convolution": drawings}


def _prepared(run: ScoredRun, rows: np.ndarray) -> tf.Tensor:
    """The images of some rows as the model sees them, `[N, H, W, C]`."""
    batches = pipeline.evaluation_batches(
        run.examples,
        run.indices[rows],
        spec.preprocessing(run.checkpoint.state["identity"]),
        batch_size=len(rows),
        cache_mb=0,
    )
    with pipeline.naming_errors():
        [(images, _, _)] = list(batches)
    return images


def _gradcam(
    run: ScoredRun,
    rows: np.ndarray,
    classes: np.ndarray,
    images: tf.Tensor,
    traced: Sequence[tuple[str, tf.Tensor]],
    missing: list[str],
) -> dict[str, Any]:
    """Grad-CAM of each image for a class that the model gives it."""
    target = gradcam.target(traced)
    if target is None:
        missing.append("no Grad-CAM: no stage of this model has maps of 5x5 or more")
        return {"cams": [], "cam_stage": ""}
    name, maps = traced[target]
    classes = classes.astype(np.int32)
    heats = np.concatenate(
        [
            gradcam.heat(run.model, images[n : n + BATCH], classes[n : n + BATCH], target).numpy()
            for n in range(0, len(images), BATCH)
        ]
    )
    shown = []
    for row, label, image, heat in zip(rows, classes, images.numpy(), heats, strict=True):
        grey = thumbnail.stretched(image.mean(2))
        for card in cards(run, [row]):
            card |= run.answers.explained(row, label)
            shown.append(card | {"heat": thumbnail.encode(gradcam.overlay(grey, heat))})
    return {"cams": shown, "cam_stage": f"{name}, {maps.shape[1]}x{maps.shape[2]} positions"}
