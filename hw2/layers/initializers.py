"""First values of weights."""

import contextlib
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

_drawing = True


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray | tf.Tensor:
    """Draws float32 weights that keep the variance of activations through ReLU.

    Args:
      shape: Of the weights; all axes but the last feed one output.
      rng: Where the numbers come from.

    Returns:
      `shape`, normal with mean 0 and variance 2 / inputs.

    Source: He et al., "Delving Deep into Rectifiers", 2015, arxiv.org/abs/1502.01852.
    """
    if not _drawing:
        return tf.zeros(shape)
    scale = math.sqrt(2 / math.prod(shape[:-1]))
    return np.float32(scale) * rng.standard_normal(shape, np.float32)


@contextlib.contextmanager
def sizes_only() -> Iterator[None]:
    """Makes the variables of layers made in the block have shapes, but no values and no memory.

    They belong to a graph that nobody runs, so that the largest model costs nothing to measure.
    """
    global _drawing
    before, _drawing = _drawing, False
    try:
        with tf.Graph().as_default():
            yield
    finally:
        _drawing = before
