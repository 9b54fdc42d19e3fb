"""Initial values of weights."""

import contextlib
import contextvars
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

# Of this thread: another one may make a model with weights meanwhile.
_drawing = contextvars.ContextVar("drawing", default=True)


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray | tf.Tensor:
    """Draws float32 weights that keep the variance of activations through ReLU.

    Args:
      shape: Shape of the weights; all axes but the last feed one output.
      rng: Random generator.

    Returns:
      Weights of this shape, normally distributed with mean 0 and variance 2 / inputs. Within
      `sizes_only`, a tensor of zeros in a graph that is never run.

    Source: He et al., "Delving Deep into Rectifiers", 2015, arxiv.org/abs/1502.01852.
    """
    if not _drawing.get():
        return tf.zeros(shape)
    scale = math.sqrt(2 / math.prod(shape[:-1]))
    return np.float32(scale) * rng.standard_normal(shape, np.float32)


@contextlib.contextmanager
def sizes_only() -> Iterator[None]:
    """Gives layers that are made in the block variables with shapes but without memory.

    The variables belong to a graph that is never run, so the largest model costs nothing to
    measure.
    """
    before = _drawing.set(False)
    try:
        with tf.Graph().as_default():
            yield
    finally:
        _drawing.reset(before)
