"""A network of four layers with wide windows, for sorting waste."""

from __future__ import annotations

from hw2.layers.sequential import Sequential
from hw2.models.plain import Convolution, Pooling, plain


def waste_cnn(
    image_shape: tuple[int, int, int], num_classes: int, *, seed: int, l2: float = 0.0
) -> Sequential:
    """Makes a 16x16 and an 8x8 convolution with 3x3 pools, a dense layer and a linear one.

    Args:
      image_shape: (H, W, C) of the images, of any size, (225, 225, 3) in its report.
      num_classes: Length of the logits, 2 in its report.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.
    """
    windows: list[Convolution | Pooling] = [Convolution(64, 16, padding="VALID"), Pooling(3, 3)]
    windows += [Convolution(32, 8, padding="VALID"), Pooling(3, 3)]
    return plain(image_shape, num_classes, windows, [128], seed=seed, l2=l2, drop=0.5)
