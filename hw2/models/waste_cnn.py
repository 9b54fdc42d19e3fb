"""A network of four layers with wide windows, for sorting waste."""

from __future__ import annotations

from hw2.layers.sequential import Sequential
from hw2.models.plain import Convolution, Pooling, plain


def waste_cnn(
    image_shape: tuple[int, int, int], num_classes: int, *, seed: int, l2: float = 0.0
) -> Sequential:
    """A convolution 16x16, one 8x8, a pool of 3 after each, a dense layer of 128, a linear one.

    Args:
      image_shape: (H, W, C) of the pictures; any sizes, (225, 225, 3) in its report.
      num_classes: Length of the logits, 2 in its report.
      seed: Of the first weights.
      l2: Weight of the L2 penalty on all filters and matrices.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.
    """
    windows = [Convolution(64, 16, padding="VALID"), Pooling(3, 3)]
    windows += [Convolution(32, 8, padding="VALID"), Pooling(3, 3)]
    return plain(image_shape, num_classes, windows, [128], seed=seed, l2=l2, drop=0.5)
