"""AlexNet, and ZFNet, whose first windows are smaller."""

from __future__ import annotations

from hw2.layers.sequential import Sequential
from hw2.models.plain import Convolution, Pooling, plain


def alexnet(
    image_shape: tuple[int, int, int], num_classes: int, *, seed: int, l2: float = 0.0
) -> Sequential:
    """Makes AlexNet: five convolutions from 11x11 down, three pools and three dense layers.

    It is the form with one column, as in torchvision. Dropout follows the first two dense layers,
    of 4096 values each; the last one is linear.

    Args:
      image_shape: (H, W, C) of the images, of any size, (224, 224, 3) in the paper.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    2012; Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014,
    arxiv.org/abs/1404.5997.
    """
    windows: list[Convolution | Pooling] = [
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
    """Makes ZFNet: AlexNet with a first window of 7x7 and stride 2, and more channels.

    The contrast normalization of the paper, which has no weights, is left out.

    Args:
      image_shape: (H, W, C) of the images, of any size, (224, 224, 3) in the paper.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2013,
    arxiv.org/abs/1311.2901, figure 3.
    """
    windows: list[Convolution | Pooling] = [
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
