"""The distance of a picture to the classes of a run, fitted where it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError, RunError
from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.jobs import data, tta
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.jobs.extractor import extractor, size
from hw2.jobs.spec import preprocessing
from hw2.runs import distance as stored
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.distance import Distance
from hw2.runs.folder import RunFolder
from hw2.terminal import progress_bar
from hw2.training import mahalanobis, rejection
from hw2.training.mahalanobis import Gaussians

FITTED = 10_000  # training images, at most, to which the classes are fitted
LARGEST = 4096  # features, as many as VGG has: their covariance has 134 MB

Compute = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def of(
    config: Config, checkpoint: Checkpoint, tensors: Mapping[str, np.ndarray], out: Console
) -> Distance:
    """The distances of a checkpoint: those that its run stores, or else fits and stores them.

    Classes are fitted to training images, and thresholds are chosen on held-out ones, because the
    network has drawn the features of the first together: their distances are too small.

    Args:
      config: The settings: `weights`, `tta`, `batch_size`, and where the training data are.
      checkpoint: The checkpoint whose model answers.
      tensors: Its tensors by name.
      out: Where people read.

    Raises:
      RunError: The model has no features, or too many; nothing can be fitted to them; or what is
        stored is damaged or cannot be written.
      DataError: The training data cannot be read.
    """
    folder = RunFolder(checkpoint.path.parents[1])
    found = stored.read(folder)
    if found is not None and found.fits(checkpoint, config.weights, config.tta):
        return found
    found = _fitted(config, folder, checkpoint, tensors, out)
    words = f"distances of {len(found.centre):,} features, fitted to {found.num_fitted:,} training"
    try:
        out.print(f"{words} pictures; {stored.write(folder, found)}")
    except RunError as error:  # they serve this time, and are fitted again the next
        out.print(f"{words} pictures; warning: {error}")
    return found


def gaussians(found: Distance) -> Gaussians:
    """The distributions of the classes."""
    return Gaussians(found.centre, found.whitening, found.means)


def measuring(
    model: tf.Module, run: str | Path, found: Distance | None
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor | None]]:
    """Makes a function from images `[N, H, W, C]` to logits `[N, classes]` and distances `[N]`.

    Args:
      model: The model, as `tta.augmented` has made it.
      run: Where the model is from, for messages.
      found: Its distances; without them the function gives None in their place.
    """
    if found is None:
        return lambda images: (model(images, training=False), None)
    compute, fitted = extractor(model, run), gaussians(found)

    def both(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features, logits = compute(images)
        return logits, mahalanobis.distance(tf.cast(features, tf.float32), fitted)

    return both


def confidences(
    model: tf.Module, run: str | Path, found: Distance, batches: Iterable[tuple]
) -> np.ndarray:
    """Computes the negative distance of each picture of some batches, `[N]`.

    Args:
      model: The model, as `tta.augmented` has made it.
      run: Where the model is from, for messages.
      found: Its distances.
      batches: Of `pipeline.evaluation_batches`.
    """
    features, _ = outputs(extractor(model, run), batches)
    return -mahalanobis.distance(tf.constant(features), gaussians(found)).numpy()


def evenly(labels: np.ndarray, indices: np.ndarray, most: int = FITTED) -> np.ndarray:
    """Draws at most `most` of the indices, as many of each class as there are; always the same.

    Args:
      labels: `[M]`, of all images.
      indices: `[N]`, of those to draw from.
      most: How many to draw.

    Returns:
      Sorted indices.
    """
    if len(indices) <= most:
        return indices
    drawn = np.random.default_rng(0).permutation(indices)
    by_class = np.argsort(labels[drawn], kind="stable")
    _, first, which = np.unique(labels[drawn][by_class], return_index=True, return_inverse=True)
    place = np.arange(len(drawn)) - first[which]  # of each image among those of its class
    return np.sort(drawn[by_class][np.argsort(place, kind="stable")[:most]])


def of_examples(
    config: Config, checkpoint: Checkpoint, examples: Examples, indices: np.ndarray
) -> Iterable[tuple]:
    """Batches of some examples, preprocessed as in evaluation."""
    return pipeline.evaluation_batches(
        examples,
        indices,
        preprocessing(checkpoint.state["identity"]),
        batch_size=config.batch_size,
        cache_mb=0,
    )


def outputs(
    compute: Compute, batches: Iterable[tuple], told: Callable[[int], None] = lambda done: None
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the features, float32 `[N, D]`, and the logits, `[N, classes]`, of some batches.

    Args:
      compute: Made by `extractor`.
      batches: Of `pipeline.evaluation_batches`; rows that fill the last one are left out.
      told: Called after each batch, with the number of images so far.
    """

    @tf.function(autograph=False)
    def both(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        features, logits = compute(images)
        return tf.cast(features, tf.float32), tf.cast(logits, tf.float32)

    rows, done = [], 0
    with pipeline.naming_errors():
        for images, _, weights in batches:
            present = weights.numpy() > 0
            rows.append([value.numpy()[present] for value in both(images)])
            done += int(present.sum())
            told(done)
    features, logits = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return features, logits


def _fitted(
    config: Config,
    folder: RunFolder,
    checkpoint: Checkpoint,
    tensors: Mapping[str, np.ndarray],
    out: Console,
) -> Distance:
    """Fits the classes of a run to its training images, and lists what thresholds accept."""
    # Whether it can be done at all, before any data are read.
    if checkpoint.state["identity"].get("overfit_batches"):
        raise RunError(
            f"no distances of {folder.path} - it was trained with --overfit_batches, which "
            "validates on the images that it trains on; train without"
        )
    model = tta.augmented(trained.load(checkpoint, tensors, config.weights), config.tta)
    compute = extractor(model, checkpoint.path)
    if (count := size(model, checkpoint.path)) > LARGEST:
        raise RunError(
            f"no distances of {checkpoint.path} - its last dense layer is given "
            f"{count:,} features, and at most {LARGEST:,} can be; reject by probability"
        )

    # The features of both parts, in one pass.
    examples, training, held_out = data.of_run(config, folder, checkpoint, out)
    if not len(held_out):
        raise DataError(f"no validation pictures in {folder.split} - no threshold can be chosen")
    labels = np.asarray(examples.labels)
    seen = evenly(labels, training)
    together = np.concatenate([seen, held_out])
    with (
        convolving(config, checkpoint),
        progress_bar.reporting("fitting distances", out) as report,
    ):
        batches = of_examples(config, checkpoint, examples, together)
        features, logits = outputs(compute, batches, lambda done: report(done, len(together)))

    # The classes by the first part, and the thresholds by the second.
    try:
        fitted = mahalanobis.fit(features[: len(seen)], labels[seen])
    except ValueError as error:
        raise RunError(
            f"no distances of {checkpoint.path} - {str(error).rstrip('.')}; choose another "
            "--checkpoint, or reject by probability"
        ) from error
    right = logits[len(seen) :].argmax(1) == labels[held_out]
    confidence = -mahalanobis.distance(tf.constant(features[len(seen) :]), fitted).numpy()
    return Distance(
        step=checkpoint.step,
        digest=checkpoint.digest,
        weights=config.weights,
        tta=config.tta,
        num_fitted=len(seen),
        num_examples=len(held_out),
        **fitted._asdict(),
        curve=np.array(rejection.curve(confidence, right, lowest=-rejection.FARTHEST)),
    )
