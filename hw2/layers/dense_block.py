"""Dense blocks: every layer reads the results of all before it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import AvgPool
from hw2.layers.sequential import Layer, Sequential, relu

BOTTLENECK = 4  # channels between the two convolutions, in growths


class DenseLayer(tf.Module):
    """Batch norm, ReLU, 1x1, batch norm, ReLU, 3x3; what comes out is added to the channels.

    Source: Huang et al., "Densely Connected Convolutional Networks", 2016,
    arxiv.org/abs/1608.06993, DenseNet-B.
    """

    def __init__(
        self,
        inputs: int,
        growth: int,
        *,
        rng: np.random.Generator,
        epsilon: float = 1e-5,
        l2: float = 0.0,
    ):
        """Makes the layers, without biases.

        Args:
          inputs: Channels of the image.
          growth: Channels that this layer adds.
          rng: Where the first weights come from.
          epsilon: Of the batch norms.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__()
        between = BOTTLENECK * growth
        self.norm1 = BatchNorm(inputs, epsilon=epsilon)
        self.conv1 = Conv(inputs, between, 1, bias=False, rng=rng, l2=l2)
        self.norm2 = BatchNorm(between, epsilon=epsilon)
        self.conv2 = Conv(between, growth, 3, bias=False, rng=rng, l2=l2)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, inputs]` to `[N, H, W, inputs + growth]`."""
        y = self.conv1(self.norm1(x, training=training, relu=True))
        y = self.conv2(self.norm2(y, training=training, relu=True))
        return tf.concat([x, y], 3)


def dense_block(
    inputs: int,
    depth: int,
    growth: int,
    *,
    rng: np.random.Generator,
    epsilon: float = 1e-5,
    l2: float = 0.0,
) -> Sequential:
    """Makes `depth` layers, `[N, H, W, inputs]` to `[N, H, W, inputs + depth * growth]`.

    Args:
      inputs: Channels of the image.
      depth: How many layers.
      growth: As for `DenseLayer`, and so are the others.

    Returns:
      Stages "layer1", "layer2", and so on.
    """
    return Sequential(
        {
            f"layer{i + 1}": DenseLayer(
                inputs + i * growth, growth, rng=rng, epsilon=epsilon, l2=l2
            )
            for i in range(depth)
        }
    )


def transition(
    inputs: int,
    outputs: int,
    *,
    rng: np.random.Generator,
    epsilon: float = 1e-5,
    l2: float = 0.0,
) -> Sequential:
    """Makes what stands between blocks: batch norm, ReLU, 1x1, means of 2x2.

    Args:
      inputs: Channels of the image.
      outputs: Channels of the result, half of `inputs` in DenseNet-C.
      rng: Where the first weights come from.
      epsilon: Of the batch norm.
      l2: Weight of the L2 penalty on the filters.

    Returns:
      Stages from `[N, H, W, inputs]` to `[N, H//2, W//2, outputs]`, at least one pixel.
    """
    stages: dict[str, Layer] = {
        "norm": BatchNorm(inputs, epsilon=epsilon),
        "relu": relu,
        "conv": Conv(inputs, outputs, 1, bias=False, rng=rng, l2=l2),
        "pool": AvgPool(2, 2, "VALID"),
    }
    return Sequential(stages)
