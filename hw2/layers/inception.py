"""Inception modules: convolutions with windows of several sizes, side by side."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.conv import Conv
from hw2.layers.norm import BatchNorm


class _Inception(tf.Module):
    """Four towers, concatenated, then batch norm and ReLU.

    Each convolution but the last of its tower is followed by ReLU; the last one has neither bias
    nor ReLU, since the batch norm behind it has both. `wide` holds the window sizes of the third
    tower.
    """

    def __init__(
        self,
        in_channels: int,
        towers: tuple[int, int, int, int],
        bottlenecks: tuple[int, int],
        wide: tuple[int, ...],
        *,
        rng: np.random.Generator,
        l2: float,
    ):
        super().__init__()
        one, three, five, pool = towers
        self.one = Conv(in_channels, one, 1, bias=False, rng=rng, l2=l2)
        self.three = [
            Conv(in_channels, bottlenecks[0], 1, relu=True, rng=rng, l2=l2),
            Conv(bottlenecks[0], three, 3, bias=False, rng=rng, l2=l2),
        ]
        sizes = [bottlenecks[1], *[five] * len(wide)]
        last = len(wide) - 1
        self.five = [Conv(in_channels, bottlenecks[1], 1, relu=True, rng=rng, l2=l2)] + [
            Conv(sizes[i], sizes[i + 1], kernel, bias=i < last, relu=i < last, rng=rng, l2=l2)
            for i, kernel in enumerate(wide)
        ]
        self.pool = Conv(in_channels, pool, 1, bias=False, rng=rng, l2=l2)
        self.norm = BatchNorm(sum(towers), relu=True)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, in_channels]` to `[N, H, W, sum(towers)]`."""
        three, five, one = _side_by_side(x, [self.three[0], self.five[0], self.one])
        pooled = ops.max_pool2d(x, 3, 1, algorithm=ops.fastest_pool(x))
        towers = [
            one,
            _chain(self.three[1:], three),
            _chain(self.five[1:], five),
            self.pool(pooled),
        ]
        return self.norm(tf.concat(towers, 3), training=training)


class InceptionV1(_Inception):
    """The module of GoogLeNet.

    Its towers are a 1x1 convolution; a 1x1 and a 3x3; a 1x1 and a 5x5; a 3x3 max pool and a 1x1.

    Source: Szegedy et al., "Going Deeper with Convolutions", 2014, arxiv.org/abs/1409.4842.
    """

    def __init__(
        self,
        in_channels: int,
        towers: tuple[int, int, int, int],
        bottlenecks: tuple[int, int],
        *,
        rng: np.random.Generator,
        l2: float = 0.0,
    ):
        """Makes the towers.

        Args:
          in_channels: Channels of the input.
          towers: Output channels of the 1x1, 3x3, 5x5 and pool towers.
          bottlenecks: Output channels of the 1x1 before the 3x3 and before the 5x5.
          rng: Random generator of the initial weights.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__(in_channels, towers, bottlenecks, (5,), rng=rng, l2=l2)


class InceptionV2(_Inception):
    """`InceptionV1` with two 3x3 convolutions in place of the 5x5: the same view, fewer products.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
    arxiv.org/abs/1512.00567.
    """

    def __init__(
        self,
        in_channels: int,
        towers: tuple[int, int, int, int],
        bottlenecks: tuple[int, int],
        *,
        rng: np.random.Generator,
        l2: float = 0.0,
    ):
        """Makes the towers; arguments as for `InceptionV1`."""
        super().__init__(in_channels, towers, bottlenecks, (3, 3), rng=rng, l2=l2)


def _side_by_side(x: tf.Tensor, convs: list[Conv]) -> list[tf.Tensor]:
    """Applies several 1x1 convolutions to one image, by one product with all their filters."""
    channels = [conv.w.shape[3] for conv in convs]
    w = tf.concat([conv.w for conv in convs], 3)
    biases = [
        tf.zeros([count]) if conv.b is None else conv.b
        for conv, count in zip(convs, channels, strict=True)
    ]
    y = ops.conv2d(x, tf.cast(w, x.dtype), bias=tf.concat(biases, 0))
    parts = tf.split(y, channels, 3)
    return [tf.nn.relu(y) if conv.relu else y for conv, y in zip(convs, parts, strict=True)]


def _chain(convs: list[Conv], x: tf.Tensor) -> tf.Tensor:
    for conv in convs:
        x = conv(x)
    return x
