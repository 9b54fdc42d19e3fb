"""Inception modules: towers of several window sizes side by side."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.conv import Conv
from hw2.layers.norm import BatchNorm


class _Inception(tf.Module):
    """Four towers, concatenated, then batch norm and ReLU; `wide` holds the third's windows."""

    def __init__(
        self,
        inputs: int,
        towers: tuple[int, int, int, int],
        bottlenecks: tuple[int, int],
        wide: tuple[int, ...],
        *,
        rng: np.random.Generator,
        l2: float,
    ):
        super().__init__()
        one, three, five, pool = towers
        # The last convolution of a tower has no bias, for the batch norm has one.
        self.one = Conv(inputs, one, 1, bias=False, rng=rng, l2=l2)
        self.three = [
            Conv(inputs, bottlenecks[0], 1, rng=rng, l2=l2),
            Conv(bottlenecks[0], three, 3, bias=False, rng=rng, l2=l2),
        ]
        sizes = [bottlenecks[1], *[five] * len(wide)]
        last = len(wide) - 1
        self.five = [Conv(inputs, bottlenecks[1], 1, rng=rng, l2=l2)] + [
            Conv(sizes[i], sizes[i + 1], kernel, bias=i < last, rng=rng, l2=l2)
            for i, kernel in enumerate(wide)
        ]
        self.pool = Conv(inputs, pool, 1, bias=False, rng=rng, l2=l2)
        self.norm = BatchNorm(sum(towers))

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, inputs]` to `[N, H, W, sum(towers)]`."""
        three, five, one = _side_by_side(x, [self.three[0], self.five[0], self.one])
        pooled = ops.max_pool2d(x, 3, 1, algorithm=ops.fastest_pool(x))
        towers = [
            one,
            _chain(self.three[1:], tf.nn.relu(three)),
            _chain(self.five[1:], tf.nn.relu(five)),
            self.pool(pooled),
        ]
        return self.norm(tf.concat(towers, 3), training=training, relu=True)


class InceptionV1(_Inception):
    """Towers 1x1; 1x1, 3x3; 1x1, 5x5; max pool 3x3, 1x1.

    Source: Szegedy et al., "Going Deeper with Convolutions", 2014, arxiv.org/abs/1409.4842.
    """

    def __init__(
        self,
        inputs: int,
        towers: tuple[int, int, int, int],
        bottlenecks: tuple[int, int],
        *,
        rng: np.random.Generator,
        l2: float = 0.0,
    ):
        """Makes the towers.

        Args:
          inputs: Channels of the image.
          towers: Channels out of the 1x1, 3x3, 5x5 and pool towers.
          bottlenecks: Channels out of the 1x1 before the 3x3 and before the 5x5.
          rng: Where the first weights come from.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__(inputs, towers, bottlenecks, (5,), rng=rng, l2=l2)


class InceptionV2(_Inception):
    """As `InceptionV1` with two 3x3 in place of the 5x5: the same view, fewer products.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
    arxiv.org/abs/1512.00567.
    """

    def __init__(
        self,
        inputs: int,
        towers: tuple[int, int, int, int],
        bottlenecks: tuple[int, int],
        *,
        rng: np.random.Generator,
        l2: float = 0.0,
    ):
        """Makes the towers; arguments as for `InceptionV1`."""
        super().__init__(inputs, towers, bottlenecks, (3, 3), rng=rng, l2=l2)


def _side_by_side(x: tf.Tensor, convs: list[Conv]) -> list[tf.Tensor]:
    """What 1x1 convolutions make of one image, by one product with all their filters."""
    outputs = [conv.w.shape[3] for conv in convs]
    w = tf.concat([conv.w for conv in convs], 3)
    biases = [
        tf.zeros([count]) if conv.b is None else conv.b
        for conv, count in zip(convs, outputs, strict=True)
    ]
    y = ops.conv2d(x, tf.cast(w, x.dtype), bias=tf.concat(biases, 0))
    return tf.split(y, outputs, 3)


def _chain(convs: list[Conv], x: tf.Tensor) -> tf.Tensor:
    """ReLU between the convolutions of a tower; the last one's comes after the batch norm."""
    for conv in convs[:-1]:
        x = conv.apply(x, relu=True)
    return convs[-1](x)
