"""VGG-16: many small windows."""

from __future__ import annotations

from hw2.layers.sequential import Sequential
from hw2.models.plain import Convolution, Pooling, plain


def vgg16(
    image_shape: tuple[int, int, int], num_classes: int, *, seed: int, l2: float = 0.0
) -> Sequential:
    """Makes VGG-16: thirteen 3x3 convolutions in five groups with pools, three dense layers.

    Args:
      image_shape: (H, W, C) of the images, of any size, (224, 224, 3) in the paper.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
    Recognition", 2014, arxiv.org/abs/1409.1556, configuration D.
    """
    windows: list[Convolution | Pooling] = []
    for outputs, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        windows += [Convolution(outputs, 3)] * depth + [Pooling(2, 2)]
    return plain(image_shape, num_classes, windows, [4096, 4096], seed=seed, l2=l2, drop=0.5)
