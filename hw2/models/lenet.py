"""LeNet-5, for digits of 32x32."""

from __future__ import annotations

from hw2.layers.pool import AvgPool
from hw2.layers.sequential import Sequential, tanh
from hw2.models.plain import Convolution, Pooling, plain


def lenet5(
    image_shape: tuple[int, int, int], num_classes: int, *, seed: int, l2: float = 0.0
) -> Sequential:
    """Makes LeNet-5: two 5x5 convolutions with average pools, two dense layers and a linear one.

    The third convolution of the paper has a single position, so here it is the first dense layer.
    Unlike in the paper the second convolution sees all channels of the first, the pools have no
    weights, and the last layer is linear.

    Args:
      image_shape: (H, W, C) of the images, of any size, (32, 32, 1) in the paper.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Source: LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998,
    yann.lecun.com/exdb/publis/pdf/lecun-98.pdf.
    """
    means = Pooling(2, 2, kind=AvgPool)
    windows: list[Convolution | Pooling] = [Convolution(6, 5, padding="VALID"), means]
    windows += [Convolution(16, 5, padding="VALID"), means]
    return plain(image_shape, num_classes, windows, [120, 84], seed=seed, l2=l2, activation=tanh)
