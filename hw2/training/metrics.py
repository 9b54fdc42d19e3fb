"""Accuracy, and exact sums over a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import tensorflow as tf

from hw2.training import losses


def in_top_k(labels: tf.Tensor, logits: tf.Tensor, k: int) -> tf.Tensor:
    """Whether each label is among the k largest logits.

    Of equal logits the lower class comes first, so at most k classes are in: a model that
    answers the same for every class scores chance, not 1. Logits that are not finite are wrong.

    Args:
      labels: `[N]` integers.
      logits: `[N, classes]`, at least k classes.

    Returns:
      `[N]` booleans.
    """
    best = tf.math.top_k(logits, k).indices  # [N, k]
    found = tf.reduce_any(best == tf.cast(labels, best.dtype)[:, None], 1)
    return found & tf.reduce_all(tf.math.is_finite(logits), 1)


@dataclasses.dataclass(frozen=True)
class Scores:
    """What an evaluation found, each picture counted once."""

    top1: float
    topk: float
    k: int
    loss: float  # mean cross entropy, in nats
    num_examples: int


def scorer(model: tf.Module) -> Callable[[Iterable[tuple], int], Scores]:
    """Makes `score(batches, k)`, which evaluates the model as it then is.

    The batches hold every picture once: images `[N, H, W, C]`, labels `[N]` and weights `[N]`,
    0 for rows that only fill the last batch. Runs under the strategy in force.
    """
    strategy = tf.distribute.get_strategy()

    def replica_sums(images, labels, weights, k):
        logits = model(images, training=False)
        values = {
            "count": tf.ones_like(weights),
            "loss": losses.cross_entropy(labels, logits),
            "top1": tf.cast(in_top_k(labels, logits, 1), tf.float32),
            "topk": tf.cast(in_top_k(labels, logits, k), tf.float32),
        }
        return {n: tf.reduce_sum(tf.where(weights > 0, v, 0)) for n, v in values.items()}

    @tf.function(autograph=False)
    def batch_sums(batch, k):
        return summed(strategy.run(replica_sums, (*batch, k)))

    def score(batches: Iterable[tuple], k: int) -> Scores:
        sums = dict.fromkeys(("count", "loss", "top1", "topk"), 0.0)
        for batch in batches:
            for name, value in batch_sums(batch, k).items():
                sums[name] += float(value)
        count = sums["count"]
        if not count:
            raise ValueError("evaluation must have at least one picture, got none.")
        means = {name: sums[name] / count for name in ("top1", "topk", "loss")}
        return Scores(**means, k=k, num_examples=round(count))

    return score


def summed(values: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Adds up what the replicas of the strategy in force found."""
    strategy = tf.distribute.get_strategy()
    return {name: strategy.reduce("SUM", value, axis=None) for name, value in values.items()}
