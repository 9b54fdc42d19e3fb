"""A network of four layers for small grey images."""

from __future__ import annotations

from hw2.layers.sequential import Sequential
from hw2.models.plain import Convolution, Pooling, plain


def simple_cnn(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
    kernel_size: int = 5,
) -> Sequential:
    """Makes two convolutions with pools, of 10 and 20 channels, a dense layer and a linear one.

    Args:
      image_shape: (H, W, C) of the images, of any size. 28x28 leaves 320 values to the dense layer.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.
      kernel_size: Side of both windows.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.
    """
    windows: list[Convolution | Pooling] = [
        Convolution(10, kernel_size, padding="VALID"),
        Pooling(2, 2),
    ]
    windows += [Convolution(20, kernel_size, padding="VALID"), Pooling(2, 2)]
    return plain(image_shape, num_classes, windows, [50], seed=seed, l2=l2)
