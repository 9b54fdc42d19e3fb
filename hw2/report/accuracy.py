"""Predictions of a model for a data set, and the statistics computed from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.stats import binomtest
from sklearn.metrics import (
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    recall_score,
)

from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.input.transforms.preprocess import Preprocessing
from hw2.report.sets import SetPredictions


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The predictions of a model for N images.

    Attributes:
      names: The names of the images.
      labels: `[N]` integers.
      probabilities: `[N, classes]` float32.
      class_names: One for each class.
      logits: `[N, classes]` float32, of which the probabilities are made; None if unknown.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    logits: np.ndarray | None = None

    @property
    def guesses(self) -> np.ndarray:
        """`[N]`, the most likely class; among equals the first, as in evaluation."""
        return self.probabilities.argmax(1)

    @property
    def right(self) -> np.ndarray:
        """`[N]` booleans: whether the most likely class is the label."""
        return self.guesses == self.labels

    @property
    def confidence(self) -> np.ndarray:
        """`[N]`, the largest probability."""
        return self.probabilities.max(1)

    def label_of(self, row: int) -> str:
        """The class of an image."""
        return self.class_names[self.labels[row]]

    def guess_of(self, row: int) -> str:
        """The most likely class of an image."""
        return self.class_names[self.guesses[row]]

    def has(self, row: int, label: int) -> bool:
        """Whether an image has a class."""
        return bool(self.labels[row] == label)

    def of_each_class(self) -> tuple[np.ndarray, np.ndarray]:
        """A row of each class that has images, the right answer it is surest of, or a wrong one.

        Returns:
          The rows, and the most likely class of each.
        """
        rows = []
        for label in np.unique(self.labels):
            own = np.flatnonzero(self.labels == label)
            order = np.lexsort((-self.confidence[own], ~self.right[own]))
            rows.append(int(own[order[0]]))
        return np.array(rows), self.guesses[rows]

    def explained(self, row: int, label: int) -> dict[str, Any]:
        """What a card says otherwise if it explains one class: nothing."""
        return {}

    def best(self, row: int, k: int = 5) -> list[tuple[int, float]]:
        """Returns the k most likely classes of an image, with their probabilities."""
        order = np.argsort(-self.probabilities[row], kind="stable")[:k]
        return [(int(label), float(self.probabilities[row, label])) for label in order]

    def among(self, k: int) -> np.ndarray:
        """`[N]` booleans: whether the label is among the k most likely classes."""
        order = np.argsort(-self.probabilities, 1, kind="stable")[:, :k]
        return (order == self.labels[:, None]).any(1)

    @property
    def loss(self) -> float:
        """Mean cross entropy, in nats."""
        own = self.probabilities[np.arange(len(self.labels)), self.labels]
        return float(-np.log(np.maximum(own, 1e-12)).mean())

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have images."""
        there = np.unique(self.labels)
        return float(
            recall_score(self.labels, self.guesses, labels=there, average="macro", zero_division=0)
        )

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that have images or predictions."""
        return float(f1_score(self.labels, self.guesses, average="macro", zero_division=0))

    @property
    def confusion(self) -> np.ndarray:
        """`[classes, classes]` counts; rows are true classes, columns predicted ones."""
        return confusion_matrix(self.labels, self.guesses, labels=np.arange(len(self.class_names)))


@dataclasses.dataclass(frozen=True)
class Share:
    """A fraction with its 95 % confidence interval."""

    right: int
    count: int

    @property
    def value(self) -> float:
        """The fraction."""
        return self.right / self.count

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of Wilson, 1927."""
        found = binomtest(self.right, self.count).proportion_ci(0.95, method="wilson")
        return float(found.low), float(found.high)


def share(right: np.ndarray) -> Share:
    """Counts how many of `[N]` booleans are true."""
    return Share(int(right.sum()), len(right))


def compiled(model: tf.Module) -> Callable[[tf.Tensor], tf.Tensor]:
    """Compiles a model to the function from images `[N, H, W, C]` to logits `[N, classes]`.

    Args:
      model: A model; its weights may be changed later.
    """

    @tf.function(autograph=False)
    def ask(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    return ask


def predict(
    ask: Callable[[tf.Tensor], tf.Tensor],
    probabilities: Callable[[tf.Tensor], tf.Tensor],
    examples: Examples,
    indices: np.ndarray,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    thresholds: Sequence[float] | None = None,
) -> Predictions | SetPredictions:
    """Classifies images, preprocessed and batched as evaluation does.

    Args:
      ask: The function that `compiled` returns.
      probabilities: Maps logits to probabilities, see `hw2.jobs.model.probabilities`.
      examples: The data.
      indices: `[N]`, the examples to classify.
      preprocessing: The preprocessing of the training.
      batch_size: Images at a time.
      thresholds: Of each class, where images have several labels.
    """
    batches = pipeline.evaluation_batches(
        examples, indices, preprocessing, batch_size=batch_size, cache_mb=0
    )

    with pipeline.naming_errors():
        found = [ask(images).numpy()[weights.numpy() > 0] for images, _, weights in batches]
    logits = np.concatenate(found)
    columns = (
        tuple(examples.names[index] for index in indices),
        np.asarray(examples.labels)[indices],
        probabilities(tf.constant(logits)).numpy(),
        tuple(examples.class_names),
    )
    if thresholds is not None:
        return SetPredictions(*columns, np.array(thresholds))
    return Predictions(*columns, logits)


def by_class(found: Predictions) -> list[dict[str, float | str]]:
    """Computes precision, recall and F1 of each class, by scikit-learn."""
    classes = np.arange(len(found.class_names))
    columns = precision_recall_fscore_support(
        found.labels, found.guesses, labels=classes, zero_division=0
    )
    return [
        {
            "name": found.class_names[label],
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "pictures": int(count),
            "guessed": int((found.guesses == label).sum()),
        }
        for label, precision, recall, f1, count in zip(classes, *columns, strict=True)
    ]


def confused(found: Predictions, most: int = 6) -> list[tuple[int, int, np.ndarray]]:
    """Finds the most frequent confusions: label, prediction, and rows, the most confident first."""
    matrix = found.confusion.copy()
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:most]
    pairs = []
    for label, guess in zip(*np.unravel_index(order, matrix.shape), strict=True):
        if matrix[label, guess]:
            rows = np.flatnonzero((found.labels == label) & (found.guesses == guess))
            pairs.append((int(label), int(guess), rows[np.argsort(-found.confidence[rows])]))
    return pairs


def worst(found: Predictions, most: int = 12) -> np.ndarray:
    """Returns the rows of the mistakes made with the highest confidence."""
    rows = np.flatnonzero(~found.right)
    return rows[np.argsort(-found.confidence[rows], kind="stable")][:most]


def least_sure(found: Predictions, most: int = 12) -> np.ndarray:
    """Returns the rows where the two most likely classes are closest in probability."""
    if len(found.class_names) < 2:
        return np.array([], int)
    two = np.sort(found.probabilities, 1)[:, -2:]
    return np.argsort(two[:, 1] - two[:, 0], kind="stable")[:most]


def mcnemar(one: Predictions, other: Predictions) -> dict[str, float] | None:
    """Compares two runs on the images that both classified, by McNemar's exact test.

    Returns:
      The number of images, how many only the first and only the second classifies correctly, and
      the probability of so uneven a result if both were equally good. None if they share no image
      or have different classes.

    Source: McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", 1947.
    """
    if set(one.class_names) != set(other.class_names):
        return None
    rows = {name: row for row, name in enumerate(other.names)}
    pairs = [(row, rows[name]) for row, name in enumerate(one.names) if name in rows]
    if not pairs:
        return None
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    if [one.class_names[n] for n in one.labels[first]] != [
        other.class_names[n] for n in other.labels[second]
    ]:
        return None
    a, b = one.right[first], other.right[second]
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return {"pictures": len(pairs), "only_first": only_a, "only_second": only_b, "p": float(p)}
