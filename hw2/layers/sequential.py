"""Layers one after another, each with a name."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf


class Layer(Protocol):
    """Anything called like this; most are `tf.Module`s."""

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps a batch to a batch.

        Args:
          x: `[N, ...]`.
          training: Whether statistics come from the batch and dropout drops.
          seed: `[2]` integers, needed in training by layers that draw random numbers.
        """
        ...


class Sequential(tf.Module):
    """Calls its stages in order, each with a seed of its own."""

    def __init__(self, stages: dict[str, Layer]):
        super().__init__()
        self.stages = dict(stages)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, ...]` through every stage."""
        for index, (name, stage) in enumerate(self.stages.items()):
            own = None if seed is None else tf.random.experimental.stateless_fold_in(seed, index)
            with tf.name_scope(name):
                x = stage(x, training=training, seed=own)
        return x


def flat(model: Sequential, prefix: str = "") -> list[tuple[str, Layer]]:
    """Name and layer of every stage, those of inner sequences in place of the sequence."""
    found = []
    for name, stage in model.stages.items():
        if isinstance(stage, Sequential):
            found += flat(stage, f"{prefix}{name}/")
        else:
            found.append((prefix + name, stage))
    return found


def relu(x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
    """max(x, 0), as a stage."""
    return tf.nn.relu(x)


def tanh(x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
    """The hyperbolic tangent of each value, as a stage."""
    return tf.nn.tanh(x)


def flatten(x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
    """`[N, H, W, C]` to `[N, H*W*C]`, as a stage."""
    return tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])
