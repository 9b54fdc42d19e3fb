"""Sequences of named layers, and activations for them."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf


class Layer(Protocol):
    """Any callable with this signature; most layers are `tf.Module`s."""

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps a batch to a batch.

        Args:
          x: `[N, ...]`.
          training: Whether batch norms use the statistics of the batch, and dropout drops.
          seed: `[2]` integers, which layers with random numbers need in training.
        """
        ...


class Sequential(tf.Module):
    """Calls its stages in order, each with its own seed."""

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
    """Lists path and layer of every stage; nested sequences are replaced by their stages."""
    found = []
    for name, stage in model.stages.items():
        if isinstance(stage, Sequential):
            found += flat(stage, f"{prefix}{name}/")
        else:
            found.append((prefix + name, stage))
    return found


def outputs(model: Sequential, images: tf.Tensor) -> list[tuple[str, tf.Tensor]]:
    """Returns the name and the output of every stage for images `[N, H, W, C]`."""
    found, x = [], images
    for name, stage in flat(model):
        x = stage(x, training=False)
        found.append((name, x))
    return found


def relu(x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Returns max(x, 0); a stage for `Sequential`."""
    return tf.nn.relu(x)


def tanh(x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Returns the hyperbolic tangent of each value; a stage for `Sequential`."""
    return tf.nn.tanh(x)


def flatten(x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Reshapes `[N, H, W, C]` to `[N, H*W*C]`; a stage for `Sequential`."""
    return tf.reshape(x, [-1, x.shape[1] * x.shape[2] * x.shape[3]])
