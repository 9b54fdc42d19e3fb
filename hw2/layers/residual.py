"""Residual blocks: the input plus what a few convolutions make of it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import AvgPool
from hw2.layers.sequential import Layer, Sequential
from hw2.layers.squeeze_excite import SqueezeExcite

CENTERED = ((1, 1), (1, 1))  # of 3x3; "SAME" at stride 2 is off the centre for even sizes


class BasicBlock(tf.Module):
    """Two convolutions 3x3, each with batch norm, beside a shortcut.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015,
    arxiv.org/abs/1512.03385.
    """

    expansion = 1  # channels of the result over `width`

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        squeeze_excite: bool = False,
        pooled_shortcut: bool = False,
        zero_gamma: bool = False,
        epsilon: float = 1e-5,
        l2: float = 0.0,
    ):
        """Makes the layers.

        Args:
          inputs: Channels of the image.
          width: Channels of each convolution's result.
          rng: Where the first weights come from.
          strides: Step of the first convolution and of the shortcut.
          squeeze_excite: Whether the result is scaled by channel before the shortcut is added.
          pooled_shortcut: Whether a strided shortcut takes means rather than every other pixel.
          zero_gamma: Whether the last scale begins as 0, and so the block as its shortcut.
          epsilon: Of the batch norms.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__()
        self.conv1 = Conv(
            inputs, width, 3, strides=strides, padding=CENTERED, bias=False, rng=rng, l2=l2
        )
        self.norm1 = BatchNorm(width, epsilon=epsilon)
        self.conv2 = Conv(width, width, 3, bias=False, rng=rng, l2=l2)
        self.norm2 = _last_norm(width, epsilon, zero_gamma)
        self.squeeze_excite = SqueezeExcite(width, rng=rng, l2=l2) if squeeze_excite else None
        self.shortcut = _shortcut(inputs, width, strides, pooled_shortcut, epsilon, rng, l2)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, inputs]` to `[N, ceil(H/strides), ceil(W/strides), width]`."""
        y = self.norm1(self.conv1(x), training=training, relu=True)
        y = self.norm2(self.conv2(y), training=training)
        if self.squeeze_excite:
            y = self.squeeze_excite(y)
        return tf.nn.relu(y + _through(self.shortcut, x, training))


class Bottleneck(tf.Module):
    """Convolutions 1x1, 3x3 and 1x1, each with batch norm, beside a shortcut.

    Source: as `BasicBlock`.
    """

    expansion = 4

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        stride_first: bool = False,
        squeeze_excite: bool = False,
        pooled_shortcut: bool = False,
        zero_gamma: bool = False,
        epsilon: float = 1e-5,
        l2: float = 0.0,
    ):
        """Makes the layers; arguments as for `BasicBlock`, and one more.

        Args:
          inputs: Channels of the image.
          width: Channels of the first two convolutions' results; the last one's are four times
            as many.
          stride_first: Whether the first 1x1 takes the step, as in the paper and in Keras, rather
            than the 3x3, as in torchvision and timm, which sees every pixel.
        """
        super().__init__()
        first, second = (strides, 1) if stride_first else (1, strides)
        outputs = self.expansion * width
        self.conv1 = Conv(inputs, width, 1, strides=first, bias=False, rng=rng, l2=l2)
        self.norm1 = BatchNorm(width, epsilon=epsilon)
        self.conv2 = Conv(
            width, width, 3, strides=second, padding=CENTERED, bias=False, rng=rng, l2=l2
        )
        self.norm2 = BatchNorm(width, epsilon=epsilon)
        self.conv3 = Conv(width, outputs, 1, bias=False, rng=rng, l2=l2)
        self.norm3 = _last_norm(outputs, epsilon, zero_gamma)
        self.squeeze_excite = SqueezeExcite(outputs, rng=rng, l2=l2) if squeeze_excite else None
        self.shortcut = _shortcut(inputs, outputs, strides, pooled_shortcut, epsilon, rng, l2)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, inputs]` to `[N, ceil(H/strides), ceil(W/strides), 4 * width]`."""
        y = self.norm1(self.conv1(x), training=training, relu=True)
        y = self.norm2(self.conv2(y), training=training, relu=True)
        y = self.norm3(self.conv3(y), training=training)
        if self.squeeze_excite:
            y = self.squeeze_excite(y)
        return tf.nn.relu(y + _through(self.shortcut, x, training))


def _last_norm(channels: int, epsilon: float, zero_gamma: bool) -> BatchNorm:
    """The batch norm before the sum.

    Source of `zero_gamma`: Goyal et al., "Accurate, Large Minibatch SGD", 2017,
    arxiv.org/abs/1706.02677.
    """
    norm = BatchNorm(channels, epsilon=epsilon)
    if zero_gamma:
        norm.scale.assign(tf.zeros([channels]))
    return norm


def _shortcut(
    inputs: int,
    outputs: int,
    strides: int,
    pooled: bool,
    epsilon: float,
    rng: np.random.Generator,
    l2: float,
) -> Sequential | None:
    """A projection where the sizes differ, else None, which stands for the input itself.

    Source of `pooled`: He et al., "Bag of Tricks for Image Classification with Convolutional
    Neural Networks", 2018, arxiv.org/abs/1812.01187, ResNet-D.
    """
    if strides == 1 and inputs == outputs:
        return None
    stages: dict[str, Layer] = {}
    if pooled and strides > 1:
        stages["pool"], strides = AvgPool(strides, strides), 1
    stages["conv"] = Conv(inputs, outputs, 1, strides=strides, bias=False, rng=rng, l2=l2)
    stages["norm"] = BatchNorm(outputs, epsilon=epsilon)
    return Sequential(stages)


def _through(shortcut: Sequential | None, x: tf.Tensor, training: bool) -> tf.Tensor:
    return x if shortcut is None else shortcut(x, training=training)
