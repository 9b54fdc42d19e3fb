"""Accuracy and loss over a data set, by exact sums."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from hw2.training import losses
from hw2.training.losses import Loss


def in_top_k(labels: tf.Tensor, logits: tf.Tensor, k: int) -> tf.Tensor:
    """Whether each label is among the k largest logits.

    Of equal logits the lower class comes first, so at most k classes are in: a model that
    answers the same for every class scores chance, not 1. Logits that are not finite are wrong.

    Args:
      labels: `[N]` integers, or `[N, classes]` shares, of which the largest is the label.
      logits: `[N, classes]`, at least k classes.

    Returns:
      `[N]` booleans.
    """
    if len(labels.shape) == 2:
        labels = tf.argmax(labels, 1)
    best = tf.math.top_k(logits, k).indices  # [N, k]
    found = tf.reduce_any(best == tf.cast(labels, best.dtype)[:, None], 1)
    return found & tf.reduce_all(tf.math.is_finite(logits), 1)


def top1(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Whether each label has the largest logit, 1 or 0; see `in_top_k`."""
    return tf.cast(in_top_k(labels, logits, 1), tf.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scores:
    """The results of an evaluation that counted each picture once."""

    top1: float
    topk: float
    k: int
    loss: float  # mean, in nats
    num_examples: int
    balanced_accuracy: float | None = None  # mean recall of the classes that have pictures
    macro_f1: float | None = None  # mean F1 of the classes that have pictures or guesses
    by_class: tuple[tuple[int, int], ...] = dataclasses.field(default=(), repr=False, compare=False)
    # (correct at the first guess, all) for each class

    def by(self, name: str) -> float:
        """A score by which one checkpoint is better than another, higher the better.

        Args:
          name: "top1", "balanced_accuracy", "macro_f1", or "loss", which counts as its negative.
        """
        value = getattr(self, name)
        if value is None:  # of a checkpoint from before these scores
            return math.nan
        return -value if name == "loss" else value

    def plain(self) -> dict[str, float]:
        """The scores as plain JSON, without `by_class`."""
        return {n: v for n, v in dataclasses.asdict(self).items() if n != "by_class"}

    @property
    def main(self) -> tuple[str, float]:
        """The score that names the best checkpoint: what it is called, and its value."""
        return "top-1", self.top1

    @property
    def words(self) -> str:
        """The scores in words, without the loss."""
        return (
            f"{in_words(self.top1, self.topk, self.k)}, balanced accuracy "
            f"{self.balanced_accuracy:.4f}, macro F1 {self.macro_f1:.4f}"
        )


class Outputs:
    """The logits of an evaluation; give its `add` to a scorer as `keep`."""

    def __init__(self) -> None:
        self._labels: list[np.ndarray] = []
        self._logits: list[np.ndarray] = []

    def add(self, labels: np.ndarray, logits: np.ndarray) -> None:
        """Adds the labels `[n]` and logits `[n, classes]` of some images."""
        self._labels.append(labels)
        self._logits.append(logits)

    @property
    def labels(self) -> np.ndarray:
        """`[N]` integers."""
        return np.concatenate(self._labels)

    @property
    def logits(self) -> np.ndarray:
        """`[N, classes]`, in the order of the labels."""
        return np.concatenate(self._logits)


def scorer(model: tf.Module, loss: Loss = losses.cross_entropy) -> Callable[..., Scores]:
    """Makes the function `score(batches, k, check=, keep=)`, which evaluates the current weights.

    The batches hold every picture once: images `[N, H, W, C]`, labels `[N]` and weights `[N]`,
    0 for rows that only fill the last batch. `check` is called before each batch, and may raise
    to end the evaluation. `keep` is called with the labels `[n]` and logits `[n, classes]` of each
    batch, of all replicas and without the rows that fill it. Runs under the strategy in force.

    Args:
      model: The model to evaluate.
      loss: Loss of each example.
    """
    strategy = tf.distribute.get_strategy()

    alone = strategy.num_replicas_in_sync == 1

    def replica_sums(images, labels, weights, k):
        logits = model(images, training=False)
        present = weights > 0
        top1 = tf.cast(in_top_k(labels, logits, 1) & present, tf.float32)
        count = tf.cast(present, tf.float32)
        classes = logits.shape[1]
        finite = tf.reduce_all(tf.math.is_finite(logits), 1)
        sure = tf.cast(finite & present, tf.float32)
        sums = {
            "right": tf.math.unsorted_segment_sum(top1, labels, classes),
            "count": tf.math.unsorted_segment_sum(count, labels, classes),
            "guessed": tf.math.unsorted_segment_sum(sure, tf.argmax(logits, 1), classes),
            "loss": tf.reduce_sum(tf.where(present, loss(labels, logits), 0)),
            "topk": tf.reduce_sum(tf.cast(in_top_k(labels, logits, k) & present, tf.float32)),
        }
        return sums, (labels, tf.cast(logits, tf.float32), weights)

    @tf.function(autograph=False)
    def batch_sums(batch, k, gathering):
        sums, rows = strategy.run(replica_sums, (*batch, k))
        if not alone:  # else the rows are there already
            rows = tuple(strategy.gather(row, 0) for row in rows) if gathering else ()
        return summed(sums), rows

    def score(
        batches: Iterable[tuple],
        k: int,
        check: Callable[[], None] = lambda: None,
        keep: Callable[[np.ndarray, np.ndarray], None] | None = None,
    ) -> Scores:
        sums: dict[str, np.ndarray] = {}
        for batch in batches:
            check()
            of_batch, rows = batch_sums(batch, k, not alone and keep is not None)
            for name, value in of_batch.items():
                sums[name] = sums.get(name, 0) + value.numpy().astype(np.float64)
            if keep:
                labels, logits, weights = (row.numpy() for row in rows)
                keep(labels[weights > 0], logits[weights > 0])
        count = float(sums["count"].sum()) if sums else 0
        if not count:
            raise ValueError("evaluation must have at least one picture, got none.")
        recall, f1 = recall_and_f1(*(sums[name] for name in ("right", "count", "guessed")))
        return Scores(
            balanced_accuracy=recall,
            macro_f1=f1,
            top1=float(sums["right"].sum()) / count,
            topk=float(sums["topk"]) / count,
            k=k,
            loss=float(sums["loss"]) / count,
            num_examples=round(count),
            by_class=tuple(
                (round(right), round(of))
                for right, of in zip(sums["right"].tolist(), sums["count"].tolist(), strict=True)
            ),
        )

    return score


def recall_and_f1(right: np.ndarray, count: np.ndarray, guessed: np.ndarray) -> tuple[float, float]:
    """Computes balanced accuracy and macro F1, as scikit-learn does.

    Args:
      right: `[classes]`, how many pictures of each class are recognized.
      count: `[classes]`, how many there are; at least one in all.
      guessed: `[classes]`, how many pictures are taken for the class.

    Returns:
      The recall, averaged over the classes that have pictures, and F1, the harmonic mean of
      recall and precision, averaged over the classes that have pictures or guesses.
    """
    there, named = count > 0, count + guessed > 0
    recall = right[there] / count[there]
    f1 = 2 * right[named] / (count + guessed)[named]
    return float(recall.mean()), float(f1.mean())


def summed(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Sums values over the replicas of the strategy in force."""
    strategy = tf.distribute.get_strategy()
    return {name: strategy.reduce("SUM", value, axis=None) for name, value in values.items()}


def in_words(top1: float, topk: float, k: int) -> str:
    """Formats top-1 and top-k accuracy, or only top-1 if k is 1."""
    words = f"top-1 {top1:.4f}"
    return words if k == 1 else f"{words}, top-{k} {topk:.4f}"
