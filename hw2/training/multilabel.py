"""Scores of images with several labels: average precision, and F1 at a threshold for each class.

Labels are `[N, classes]`, 1 where an image has a class and else 0; an image may have none.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from sklearn.metrics import average_precision_score, precision_recall_curve

from hw2.training import metrics
from hw2.training.losses import Loss

USUAL = 0.5  # the threshold where none was chosen
COLUMNS = (  # of metrics.csv
    "val_loss",
    "val_mean_average_precision",
    "val_micro_f1",
    "val_macro_f1",
    "val_accuracy",
)


class ClassScores(NamedTuple):
    """The results of one class.

    Attributes:
      average_precision: None for a class that no image has.
      pictures: How many images have the class.
      guessed: How many are said to have it.
      right: How many of these do.
      threshold: The probability from which on they are said to.
    """

    average_precision: float | None
    pictures: int
    guessed: int
    right: int
    threshold: float

    @property
    def precision(self) -> float:
        """The fraction of the images said to have the class that do; 0 if there are none."""
        return self.right / self.guessed if self.guessed else 0.0

    @property
    def recall(self) -> float:
        """The fraction of the images with the class that are said to have it; 0 for none."""
        return self.right / self.pictures if self.pictures else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of both; 0 if there are no such images."""
        both = self.pictures + self.guessed
        return 2 * self.right / both if both else 0.0


@dataclasses.dataclass(frozen=True)
class MultilabelScores:
    """The results of an evaluation that counted each image once.

    Attributes:
      mean_average_precision: Mean over the classes that have images; None if no class has.
      micro_f1: F1 of all pairs of an image and a class together.
      macro_f1: Mean F1 of the classes that have images or are given to one.
      exact_match: Fraction of the images with all labels right.
      accuracy: See `accuracy`.
      loss: Mean, in nats.
      num_examples: Number of images.
      thresholds: Of each class, at which F1 and exact matches are counted.
      by_class: The results of each class.
    """

    mean_average_precision: float | None
    micro_f1: float
    macro_f1: float
    exact_match: float
    accuracy: float
    loss: float
    num_examples: int
    thresholds: tuple[float, ...]
    by_class: tuple[ClassScores, ...] = dataclasses.field(default=(), repr=False, compare=False)

    def by(self, name: str) -> float:
        """A score by which one checkpoint is better than another, higher the better.

        Args:
          name: "mean_average_precision", "micro_f1", "macro_f1", or "loss", which counts as its
            negative.
        """
        value = getattr(self, name)
        if value is None:
            return math.nan
        return -value if name == "loss" else value

    def plain(self) -> dict[str, float]:
        """The scores as plain JSON, without `by_class`."""
        return {n: v for n, v in dataclasses.asdict(self).items() if n != "by_class"}

    @property
    def main(self) -> tuple[str, float]:
        """The score that names the best checkpoint: what it is called, and its value."""
        return "mAP", self.mean_average_precision or 0.0

    @property
    def words(self) -> str:
        """The scores in words, without the loss."""
        found = self.mean_average_precision
        precision = "no mAP, since no picture has a label" if found is None else f"mAP {found:.4f}"
        return (
            f"{precision}, micro F1 {self.micro_f1:.4f}, macro F1 {self.macro_f1:.4f}, "
            f"all labels right {self.exact_match:.4f}"
        )


def accuracy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The accuracy of each image: of the labels that it has or is given, the fraction of both.

    Labels are given at a probability of `USUAL`. An image without any label is right if none is
    given. Logits that are not finite are wrong.

    Args:
      labels: `[N, classes]` in [0, 1]; above a half is a label.
      logits: `[N, classes]`.

    Returns:
      `[N]`, in [0, 1].

    Source: Godbole and Sarawagi, "Discriminative Methods for Multi-labeled Classification", 2004.
    """
    has, given = labels > 0.5, logits >= 0
    both = tf.reduce_sum(tf.cast(has & given, tf.float32), 1)
    either = tf.reduce_sum(tf.cast(has | given, tf.float32), 1)
    found = tf.where(either > 0, tf.math.divide_no_nan(both, either), 1.0)
    return tf.where(tf.reduce_all(tf.math.is_finite(logits), 1), found, 0.0)


def thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Chooses the threshold of each class at which its F1 is the highest.

    It lies half-way between the lowest probability that is taken and the highest that is not. A
    class that no image has gets `USUAL`.

    Args:
      labels: `[N, classes]`, 0 or 1.
      probabilities: `[N, classes]`.

    Returns:
      `[classes]` float64.

    Source: Lipton et al., "Optimal Thresholding of Classifiers to Maximize F1 Measure", 2014,
    arxiv.org/abs/1402.1892.
    """
    found = np.full(labels.shape[1], USUAL)
    for label in np.flatnonzero(labels.any(0)):
        precision, recall, cuts = precision_recall_curve(labels[:, label], probabilities[:, label])
        f1 = precision * recall / np.maximum(precision + recall, 1e-12)
        best = int(f1[:-1].argmax())  # the last point takes no image at all
        below = float(cuts[best - 1]) if best else 0.0
        found[label] = (below + float(cuts[best])) / 2
    return found


def scores(
    labels: np.ndarray,
    probabilities: np.ndarray,
    loss: float,
    cuts: Sequence[float] | np.ndarray | None = None,
) -> MultilabelScores:
    """Computes the scores of images.

    Args:
      labels: `[N, classes]`, 0 or 1; N at least 1.
      probabilities: `[N, classes]`.
      loss: Mean loss of the images.
      cuts: The threshold of each class; by default those at which F1 is the highest here.

    Raises:
      ValueError: There is no image.
    """
    if not len(labels):
        raise ValueError("evaluation must have at least one picture, got none.")
    has = labels > 0.5
    finite = np.isfinite(probabilities).all(1)
    probabilities = np.where(finite[:, None], probabilities, 0.0)
    if cuts is None:
        cuts = thresholds(has, probabilities)
    given = (probabilities >= np.asarray(cuts)) & finite[:, None]
    half = (probabilities >= USUAL) & finite[:, None]
    right, pictures, guessed = ((x.sum(0)) for x in (has & given, has, given))
    precisions = [
        float(average_precision_score(has[:, label], probabilities[:, label]))
        if pictures[label]
        else None
        for label in range(has.shape[1])
    ]
    known = [value for value in precisions if value is not None]
    either, named = (has | half).sum(1), pictures + guessed
    accurate = np.where(either > 0, (has & half).sum(1) / np.maximum(either, 1), 1.0)
    return MultilabelScores(
        mean_average_precision=float(np.mean(known)) if known else None,
        micro_f1=float(2 * right.sum() / named.sum()) if named.sum() else 0.0,
        macro_f1=float((2 * right[named > 0] / named[named > 0]).mean()) if named.any() else 0.0,
        exact_match=float(((has == given).all(1) & finite).mean()),
        accuracy=float(np.where(finite, accurate, 0.0).mean()),
        loss=loss,
        num_examples=len(labels),
        thresholds=tuple(float(cut) for cut in cuts),
        by_class=tuple(
            ClassScores(precision, int(p), int(g), int(r), float(cut))
            for precision, p, g, r, cut in zip(
                precisions, pictures, guessed, right, cuts, strict=True
            )
        ),
    )


def scorer(model: tf.Module, loss: Loss) -> Callable[..., MultilabelScores]:
    """Makes the function `score(batches, cuts=, check=)`, which evaluates the current weights.

    It does what `metrics.scorer` does, but keeps the probabilities of all images, `N * classes`
    numbers, since an average precision is no sum over images. Every device sees those of all.

    Args:
      model: The model to evaluate.
      loss: Loss of each example.
    """
    strategy = tf.distribute.get_strategy()

    def replica_answers(images, labels, weights):
        logits = tf.cast(model(images, training=False), tf.float32)
        return tf.sigmoid(logits), labels, loss(labels, logits), weights

    @tf.function(autograph=False)
    def batch_answers(batch):
        return [strategy.gather(x, 0) for x in strategy.run(replica_answers, batch)]

    def score(
        batches: Iterable[tuple],
        cuts: Sequence[float] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> MultilabelScores:
        found: list[list[np.ndarray]] = []
        for batch in batches:
            check()
            *columns, weights = (x.numpy() for x in batch_answers(batch))
            found.append([column[weights > 0] for column in columns])
        if not found:
            raise ValueError("evaluation must have at least one picture, got none.")
        probabilities, labels, losses = map(np.concatenate, zip(*found, strict=True))
        return scores(labels, probabilities, float(losses.mean(dtype=np.float64)), cuts)

    return score


AnyScores = metrics.Scores | MultilabelScores
