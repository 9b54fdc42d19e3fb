"""What a model says of images: the likeliest classes, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from hw2.jobs import distance, tta
from hw2.jobs import model as trained
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.distance import Distance


class Guess(NamedTuple):
    """What a model says of N images.

    Attributes:
      classes: `[N, k]` int32, the k likeliest ones. Between equal logits the lower class comes
        first, as in evaluation.
      probabilities: `[N, k]`, theirs.
      finite: `[N]`, whether all logits are finite.
      confidence: `[N]`, by which images are rejected: the largest probability, or the negative of
        the distance to the nearest class.
    """

    classes: tf.Tensor
    probabilities: tf.Tensor
    finite: tf.Tensor
    confidence: tf.Tensor


Guesser = Callable[[tf.Tensor], Guess]


def guesser(
    model: tf.Module,
    checkpoint: Checkpoint,
    k: int,
    augmentation: str = "none",
    temperature: float = 1.0,
    distances: Distance | None = None,
) -> Guesser:
    """Makes of a model a function that classifies images.

    Args:
      model: The model, with the weights of the checkpoint.
      checkpoint: The checkpoint.
      k: How many classes to return for each image.
      augmentation: That of the test, as `--tta` names it.
      temperature: By which the logits are divided, see `hw2.jobs.calibration.temperature`.
      distances: Those of the checkpoint, if they are the confidence.

    Returns:
      A function of preprocessed images `[N, H, W, C]`.
    """
    compute = distance.measuring(tta.augmented(model, augmentation), checkpoint.path, distances)
    probabilities = trained.probabilities(checkpoint, temperature)

    @tf.function(autograph=False)
    def guess(images: tf.Tensor) -> Guess:
        logits, far = compute(images)
        classes = tf.math.top_k(logits, k).indices
        best = tf.gather(probabilities(logits), classes, batch_dims=1)
        finite = tf.reduce_all(tf.math.is_finite(logits), 1)
        return Guess(classes, best, finite, best[:, 0] if far is None else -far)

    return guess
