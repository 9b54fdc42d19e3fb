"""First values of weights."""

import math

import numpy as np


def he_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draws float32 weights that keep the variance of activations through ReLU.

    Args:
      shape: Of the weights; all axes but the last feed one output.
      rng: Where the numbers come from.

    Returns:
      `shape`, normal with mean 0 and variance 2 / inputs.

    Source: He et al., "Delving Deep into Rectifiers", 2015, arxiv.org/abs/1502.01852.
    """
    scale = math.sqrt(2 / math.prod(shape[:-1]))
    return np.float32(scale) * rng.standard_normal(shape, np.float32)
