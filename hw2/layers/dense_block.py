"""Dense blocks, in which each layer reads the outputs of all layers before it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import AvgPool
from hw2.layers.sequential import Layer, Sequential, relu

BOTTLENECK = 4  # channels between the two convolutions, as a multiple of the growth


class DenseLayer(tf.Module):
    """Batch norm, ReLU, 1x1, batch norm, ReLU, 3x3; the result is appended to the input's channels.

    Source: Huang et al., "Densely Connected Convolutional Networks", 2016,
    arxiv.org/abs/1608.06993, DenseNet-B.
    """

    def __init__(
        self,
        in_channels: int,
        growth: int,
        *,
        rng: np.random.Generator,
        epsilon: float = 1e-5,
        l2: float = 0.0,
    ):
        """Makes the layers, without biases.

        Args:
          in_channels: Channels of the input.
          growth: Channels that this layer appends.
          rng: Random generator of the initial weights.
          epsilon: Added to the variance in the batch norms.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__()
        between = BOTTLENECK * growth
        self.norm1 = BatchNorm(in_channels, epsilon=epsilon, relu=True)
        self.conv1 = Conv(in_channels, between, 1, bias=False, rng=rng, l2=l2)
        self.norm2 = BatchNorm(between, epsilon=epsilon, relu=True)
        self.conv2 = Conv(between, growth, 3, bias=False, rng=rng, l2=l2)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, H, W, in_channels + growth]`."""
        y = self.conv1(self.norm1(x, training=training))
        y = self.conv2(self.norm2(y, training=training))
        return tf.concat([x, y], 3)


def dense_block(
    in_channels: int,
    depth: int,
    growth: int,
    *,
    rng: np.random.Generator,
    epsilon: float = 1e-5,
    l2: float = 0.0,
) -> Sequential:
    """Makes a block of `depth` dense layers.

    Args:
      in_channels: Channels of the input.
      depth: Number of layers.
      growth: As for `DenseLayer`, and so are the others.

    Returns:
      Stages "layer1", "layer2", and so on, which map `[N, H, W, in_channels]` to
      `[N, H, W, in_channels + depth * growth]`.
    """
    return Sequential(
        {
            f"layer{i + 1}": DenseLayer(
                in_channels + i * growth, growth, rng=rng, epsilon=epsilon, l2=l2
            )
            for i in range(depth)
        }
    )


def transition(
    in_channels: int,
    out_channels: int,
    *,
    rng: np.random.Generator,
    epsilon: float = 1e-5,
    l2: float = 0.0,
) -> Sequential:
    """Makes the transition between two blocks: batch norm, ReLU, a 1x1 and a 2x2 average pool.

    Args:
      in_channels: Channels of the input.
      out_channels: Channels of the output, half of `in_channels` in DenseNet-C.
      rng: Random generator of the initial weights.
      epsilon: Added to the variance in the batch norm.
      l2: Weight of the L2 penalty on the filters.

    Returns:
      Stages that map `[N, H, W, in_channels]` to `[N, H//2, W//2, out_channels]`; the sides never
      become less than one pixel.
    """
    stages: dict[str, Layer] = {
        "norm": BatchNorm(in_channels, epsilon=epsilon),
        "relu": relu,
        "conv": Conv(in_channels, out_channels, 1, bias=False, rng=rng, l2=l2),
        "pool": AvgPool(2, 2, "VALID"),
    }
    return Sequential(stages)
