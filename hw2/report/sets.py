"""What a model says of images with several labels, and the statistics computed from it."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from hw2.input import labels as labelling
from hw2.training import multilabel
from hw2.training.multilabel import MultilabelScores

SEPARATOR = f"{labelling.SEPARATOR} "
NOTHING = "no label"
_LEAST = 1e-12  # of a probability in a logarithm


@dataclasses.dataclass(frozen=True)
class SetPredictions:
    """The predictions of a model for N images with several labels.

    Attributes:
      names: The names of the images.
      labels: `[N, classes]`, 1 where an image has a class.
      probabilities: `[N, classes]` float32.
      class_names: One for each class.
      thresholds: `[classes]`, from which probability on a label is given.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    thresholds: np.ndarray

    @functools.cached_property
    def given(self) -> np.ndarray:
        """`[N, classes]` booleans: the labels that the model gives."""
        return np.greater_equal(self.probabilities, self.thresholds)

    @functools.cached_property
    def wrong(self) -> np.ndarray:
        """`[N, classes]` booleans: labels that are missed, or given though they are not there."""
        return np.not_equal(self.given, self.labels > 0)

    @property
    def right(self) -> np.ndarray:
        """`[N]` booleans: whether all labels of an image are right."""
        return np.logical_not(self.wrong.any(1))

    @functools.cached_property
    def losses(self) -> np.ndarray:
        """`[N]`, the binary cross entropy of each image, in nats."""
        of_truth = np.where(self.labels > 0, self.probabilities, 1 - self.probabilities)
        return -np.log(np.maximum(of_truth, _LEAST)).mean(1)

    @functools.cached_property
    def scores(self) -> MultilabelScores:
        """The scores of all images."""
        loss = float(self.losses.mean())
        return multilabel.scores(self.labels, self.probabilities, loss, self.thresholds)

    def label_of(self, row: int) -> str:
        """The labels of an image."""
        return self._text(self.labels[row])

    def guess_of(self, row: int) -> str:
        """The labels that the model gives it."""
        return self._text(self.given[row])

    def has(self, row: int, label: int) -> bool:
        """Whether an image has a class."""
        return bool(self.labels[row, label])

    def best(self, row: int, k: int = 5) -> list[tuple[int, float]]:
        """Returns the k most likely classes of an image, with their probabilities."""
        order = np.argsort(-self.probabilities[row], kind="stable")[:k]
        return [(int(label), float(self.probabilities[row, label])) for label in order]

    def of_each_class(self) -> tuple[np.ndarray, np.ndarray]:
        """A row of each class that has images, the one surest of it; and these classes."""
        classes = np.flatnonzero(self.labels.any(0))
        own = np.where(self.labels[:, classes] > 0, self.probabilities[:, classes], -1.0)
        return own.argmax(0), classes

    def explained(self, row: int, label: int) -> dict[str, Any]:
        """What a card says of an image if it explains one class: that class is its label."""
        return {"label": self.class_names[label], "right": bool(self.given[row, label])}

    def worst(self, most: int = 12) -> np.ndarray:
        """The rows with the most wrong labels, the largest loss first among equals."""
        order = np.lexsort((-self.losses, -self.wrong.sum(1)))
        return order[np.asarray(~self.right)[order]][:most]

    def together(self, labels: np.ndarray) -> list[dict[str, Any]]:
        """How often two classes are on one image: rows with the percentage of their class.

        Args:
          labels: `[N, classes]`, `labels` or `given`.
        """
        there = (labels > 0).astype(np.int64)
        counts = there.T @ there  # [classes, classes]
        return [
            {
                "name": name,
                "total": int(row[label]),
                "cells": [(int(n), round(100 * int(n) / max(int(row[label]), 1))) for n in row],
            }
            for label, (name, row) in enumerate(zip(self.class_names, counts, strict=True))
        ]

    def by_class(self) -> list[dict[str, Any]]:
        """The results of each class, for a table."""
        rows = zip(self.class_names, self.scores.by_class, strict=True)
        measured = ("precision", "recall", "f1")
        return [
            one._asdict() | {"name": name} | {m: getattr(one, m) for m in measured}
            for name, one in rows
        ]

    def _text(self, labels: np.ndarray) -> str:
        return SEPARATOR.join(self.class_names[n] for n in np.flatnonzero(labels)) or NOTHING
