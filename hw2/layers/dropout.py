"""Dropout of single values and of whole channels."""

from __future__ import annotations

import tensorflow as tf


def dropout(x: tf.Tensor, *, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Zeroes single values of `[N, ...]`, and scales the rest to keep the mean.

    Args:
      rate: Fraction of values to drop, in [0, 1).
      seed: `[2]` integers; the same seed drops the same values, on one replica or several.

    Raises:
      ValueError: `rate` is outside [0, 1).

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from
    Overfitting", 2014, jmlr.org/papers/v15/srivastava14a.html.
    """
    return _drop(x, tf.shape(x), rate, seed)


def spatial_dropout(x: tf.Tensor, *, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Zeroes whole channels of `[N, H, W, C]`, and scales the rest to keep the mean.

    Args:
      rate: Fraction of channels to drop, in [0, 1).
      seed: `[2]` integers; the same seed drops the same channels, on one replica or several.

    Raises:
      ValueError: `rate` is outside [0, 1).

    Source: Tompson et al., "Efficient Object Localization Using Convolutional
    Networks", 2015, arxiv.org/abs/1411.4280.
    """
    return _drop(x, tf.stack([tf.shape(x)[0], 1, 1, x.shape[3]]), rate, seed)


def stochastic_depth(
    x: tf.Tensor, *, rate: float, training: bool, seed: tf.Tensor | None
) -> tf.Tensor:
    """Zeroes whole images of `[N, H, W, C]` in training, and scales the rest to keep the mean.

    For the branch of a residual block, which is then its shortcut alone.

    Args:
      x: The branch, before the sum.
      rate: Fraction of images to drop, in [0, 1).
      training: Whether to drop any.
      seed: `[2]` integers; needed in training with a rate above 0.

    Raises:
      ValueError: `rate` is outside [0, 1), or there is no seed.

    Source: Huang et al., "Deep Networks with Stochastic Depth", 2016, arxiv.org/abs/1603.09382,
    which scales at evaluation instead.
    """
    if not (training and rate):
        return x
    return _drop(x, tf.stack([tf.shape(x)[0], 1, 1, 1]), rate, seed)


class Dropout(tf.Module):
    """Applies `dropout` in training, and nothing otherwise."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = _checked(rate)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, ...]` to the same shape; training needs a seed."""
        return dropout(x, rate=self.rate, seed=seed) if training and self.rate else x


class SpatialDropout(tf.Module):
    """Applies `spatial_dropout` in training, and nothing otherwise."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = _checked(rate)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, C]` to the same shape; training needs a seed."""
        return spatial_dropout(x, rate=self.rate, seed=seed) if training and self.rate else x


def _drop(x: tf.Tensor, shape: tf.Tensor, rate: float, seed: tf.Tensor | None) -> tf.Tensor:
    """Drops by a random mask of `shape`.

    Every replica draws the mask of the whole batch and uses its own rows of it, so that several
    devices drop the same values as one would.
    """
    _checked(rate)
    if seed is None:
        raise ValueError("dropout in training must have a seed, got None.")
    replica = tf.distribute.get_replica_context()
    rows = shape[0]
    everyone = tf.concat([[rows * replica.num_replicas_in_sync], shape[1:]], 0)
    first = replica.replica_id_in_sync_group * rows
    keep = tf.random.stateless_uniform(everyone, seed)[first : first + rows] >= rate
    return x * tf.cast(tf.where(keep, 1 / (1 - rate), 0.0), x.dtype)


def _checked(rate: float) -> float:
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be in [0, 1), got {rate}.")
    return rate
