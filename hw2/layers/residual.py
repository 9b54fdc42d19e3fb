"""Residual blocks: a few convolutions whose output is added to their input."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.dropout import stochastic_depth
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import AvgPool
from hw2.layers.sequential import Layer, Sequential
from hw2.layers.squeeze_excite import SqueezeExcite

CENTERED = ((1, 1), (1, 1))  # for 3x3; "SAME" at stride 2 is off the centre for even sizes


class BasicBlock(tf.Module):
    """Two 3x3 convolutions with batch norm, added to a shortcut.

    Source: He et al., "Deep Residual Learning for Image Recognition", 2015,
    arxiv.org/abs/1512.03385.
    """

    expansion = 1  # output channels over `width`

    def __init__(
        self,
        in_channels: int,
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
          in_channels: Channels of the input.
          width: Output channels of each convolution.
          rng: Random generator of the initial weights.
          strides: Step of the first convolution and of the shortcut.
          squeeze_excite: Whether squeeze and excitation comes before the sum.
          pooled_shortcut: Whether a strided shortcut averages pixels rather than skipping some.
          zero_gamma: Whether the last batch norm's scale is 0 at first, so that the block begins
            as its shortcut alone.
          epsilon: Added to the variance in the batch norms.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__()
        self.conv1 = Conv(
            in_channels, width, 3, strides=strides, padding=CENTERED, bias=False, rng=rng, l2=l2
        )
        self.norm1 = BatchNorm(width, epsilon=epsilon, relu=True)
        self.conv2 = Conv(width, width, 3, bias=False, rng=rng, l2=l2)
        self.norm2 = _last_norm(width, epsilon, zero_gamma)
        self.squeeze_excite = SqueezeExcite(width, rng=rng, l2=l2) if squeeze_excite else None
        self.shortcut = _shortcut(in_channels, width, strides, pooled_shortcut, epsilon, rng, l2)
        self.drop_rate = 0.0  # set by `hw2.layers.depth`

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, ceil(H/strides), ceil(W/strides), width]`."""
        y = self.norm1(self.conv1(x), training=training)
        y = self.norm2(self.conv2(y), training=training)
        if self.squeeze_excite:
            y = self.squeeze_excite(y)
        y = stochastic_depth(y, rate=self.drop_rate, training=training, seed=seed)
        return tf.nn.relu(y + _through(self.shortcut, x, training))


class Bottleneck(tf.Module):
    """Convolutions 1x1, 3x3 and 1x1 with batch norm, added to a shortcut.

    Source: as `BasicBlock`.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
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
          in_channels: Channels of the input.
          width: Output channels of the first two convolutions; the last has four times as many.
          stride_first: Whether the stride belongs to the first 1x1, as in the paper and in Keras,
            rather than to the 3x3, as in torchvision and timm, where no pixel is skipped.
        """
        super().__init__()
        first, second = (strides, 1) if stride_first else (1, strides)
        out_channels = self.expansion * width
        self.conv1 = Conv(in_channels, width, 1, strides=first, bias=False, rng=rng, l2=l2)
        self.norm1 = BatchNorm(width, epsilon=epsilon, relu=True)
        self.conv2 = Conv(
            width, width, 3, strides=second, padding=CENTERED, bias=False, rng=rng, l2=l2
        )
        self.norm2 = BatchNorm(width, epsilon=epsilon, relu=True)
        self.conv3 = Conv(width, out_channels, 1, bias=False, rng=rng, l2=l2)
        self.norm3 = _last_norm(out_channels, epsilon, zero_gamma)
        self.squeeze_excite = (
            SqueezeExcite(out_channels, rng=rng, l2=l2) if squeeze_excite else None
        )
        self.shortcut = _shortcut(
            in_channels, out_channels, strides, pooled_shortcut, epsilon, rng, l2
        )
        self.drop_rate = 0.0  # set by `hw2.layers.depth`

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, ceil(H/strides), ceil(W/strides), 4 * width]`."""
        y = self.norm1(self.conv1(x), training=training)
        y = self.norm2(self.conv2(y), training=training)
        y = self.norm3(self.conv3(y), training=training)
        if self.squeeze_excite:
            y = self.squeeze_excite(y)
        y = stochastic_depth(y, rate=self.drop_rate, training=training, seed=seed)
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
    in_channels: int,
    out_channels: int,
    strides: int,
    pooled: bool,
    epsilon: float,
    rng: np.random.Generator,
    l2: float,
) -> Sequential | None:
    """Makes a projection where the sizes differ; None means the input itself.

    Source of `pooled`: He et al., "Bag of Tricks for Image Classification with Convolutional
    Neural Networks", 2018, arxiv.org/abs/1812.01187, ResNet-D.
    """
    if strides == 1 and in_channels == out_channels:
        return None
    stages: dict[str, Layer] = {}
    if pooled and strides > 1:
        stages["pool"], strides = AvgPool(strides, strides), 1
    stages["conv"] = Conv(in_channels, out_channels, 1, strides=strides, bias=False, rng=rng, l2=l2)
    stages["norm"] = BatchNorm(out_channels, epsilon=epsilon)
    return Sequential(stages)


def _through(shortcut: Sequential | None, x: tf.Tensor, training: bool) -> tf.Tensor:
    return x if shortcut is None else shortcut(x, training=training)
