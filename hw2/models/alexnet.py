"""AlexNet, and ZFNet, which looks closer."""

from __future__ import annotations

from hw2.layers.sequential import Sequential
from hw2.models.plain import Convolution, Pooling, plain


def alexnet(
    image_shape: tuple[int, int, int], num_classes: int, *, seed: int, l2: float = 0.0
) -> Sequential:
    """Five convolutions from 11x11 down, three pools, two dense layers of 4096, a linear one.

    The form in one column, which torchvision has too.

    Args:
      image_shape: (H, W, C) of the pictures; any sizes, (224, 224, 3) in the paper.
      num_classes: Length of the logits.
      seed: Of the first weights.
      l2: Weight of the L2 penalty on all filters and matrices.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    2012; Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014,
    arxiv.org/abs/1404.5997.
    """
    windows = [
        Convolution(64, 11, 4, ((2, 2), (2, 2))),
        Pooling(3, 2),
        Convolution(192, 5),
        Pooling(3, 2),
        Convolution(384, 3),
        Convolution(256, 3),
        Convolution(256, 3),
        Pooling(3, 2),
    ]
    return plain(image_shape, num_classes, windows, [4096, 4096], seed=seed, l2=l2, drop=0.5)


def zfnet(
    image_shape: tuple[int, int, int], num_classes: int, *, seed: int, l2: float = 0.0
) -> Sequential:
    """As `alexnet` with a first window of 7x7 and step 2, and more channels.

    Without the contrast normalization of the paper, which has no weights.

    Args:
      image_shape: (H, W, C) of the pictures; any sizes, (224, 224, 3) in the paper.
      num_classes: Length of the logits.
      seed: Of the first weights.
      l2: Weight of the L2 penalty on all filters and matrices.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2013,
    arxiv.org/abs/1311.2901, figure 3.
    """
    windows = [
        Convolution(96, 7, 2, ((1, 1), (1, 1))),
        Pooling(3, 2, "SAME"),  # 110 to 55
        Convolution(256, 5, 2, "VALID"),
        Pooling(3, 2, "SAME"),  # 26 to 13
        Convolution(384, 3),
        Convolution(384, 3),
        Convolution(256, 3),
        Pooling(3, 2),
    ]
    return plain(image_shape, num_classes, windows, [4096, 4096], seed=seed, l2=l2, drop=0.5)
