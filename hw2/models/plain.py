"""Networks without branches: convolutions and pools in a row, then dense layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from hw2.layers.conv import Conv
from hw2.layers.dense import Dense
from hw2.layers.dropout import Dropout
from hw2.layers.pool import MaxPool
from hw2.layers.sequential import Layer, Sequential, flatten, relu
from hw2.ops import geometry
from hw2.ops.geometry import Padding, Pair


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution with bias, followed by the activation of the network."""

    out_channels: int
    kernel: int
    strides: int = 1
    padding: Padding = "SAME"


@dataclasses.dataclass(frozen=True)
class Pooling:
    """A pooling layer."""

    kernel: int
    strides: int
    padding: Padding = "VALID"
    kind: Callable[..., Layer] = MaxPool  # or AvgPool


def plain(
    image_shape: tuple[int, int, int],
    num_classes: int,
    windows: Sequence[Convolution | Pooling],
    dense: Sequence[int],
    *,
    seed: int,
    l2: float,
    activation: Layer = relu,
    drop: float = 0.0,
) -> Sequential:
    """Makes a network of convolutions and pools, dense layers, and a linear one.

    It works for any image size: where a window is larger than a small image, a convolution is
    padded as "SAME" and a pool is cut to the size of the image.

    Args:
      image_shape: (H, W, C) of the images.
      num_classes: Length of the logits.
      windows: The convolutions and pools, in order.
      dense: Output lengths of the dense layers before the last.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on all filters and weight matrices.
      activation: The activation after each convolution and each dense layer but the last.
      drop: Fraction of values that dropout drops after each dense layer but the last.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.
    """
    rng = np.random.default_rng(seed)
    sides, channels = image_shape[:2], image_shape[2]
    stages: dict[str, Layer] = {}
    conv = pool = 0
    for window in windows:
        if isinstance(window, Pooling):
            pool += 1
            stages[f"pool{pool}"] = window.kind(window.kernel, window.strides, window.padding)
            cut = [min(window.kernel, side) for side in sides]  # as the pool itself does
            sides = _slide(sides, cut, window.strides, window.padding)
        else:
            conv += 1
            padding = window.padding if _fits(sides, window) else "SAME"
            stages[f"conv{conv}"] = Conv(
                channels,
                window.out_channels,
                window.kernel,
                strides=window.strides,
                padding=padding,
                rng=rng,
                l2=l2,
            )
            stages[f"activation{conv}"] = activation
            sides = _slide(sides, window.kernel, window.strides, padding)
            channels = window.out_channels
    stages["flatten"] = flatten
    length = sides[0] * sides[1] * channels
    stages |= _dense_stages(length, dense, activation, drop, rng, l2)
    length = dense[-1] if dense else length
    stages["linear"] = Dense(length, num_classes, rng=rng, l2=l2)
    return Sequential(stages)


def _dense_stages(
    length: int,
    dense: Sequence[int],
    activation: Layer,
    drop: float,
    rng: np.random.Generator,
    l2: float,
) -> dict[str, Layer]:
    """Makes dense layers, each with its activation and dropout, for inputs of `length` values."""
    stages: dict[str, Layer] = {}
    for number, outputs in enumerate(dense, start=1):
        stages[f"dense{number}"] = Dense(length, outputs, rng=rng, l2=l2)
        stages[f"dense_activation{number}"] = activation
        if drop:
            stages[f"dropout{number}"] = Dropout(drop)
        length = outputs
    return stages


def _fits(sides: tuple[int, int], window: Convolution) -> bool:
    """Whether the window has at least one position in the padded image."""
    if window.padding == "SAME":
        return True
    pads: Sequence[Sequence[int]] = (
        ((0, 0), (0, 0)) if isinstance(window.padding, str) else window.padding
    )
    return all(s + sum(pad) >= window.kernel for s, pad in zip(sides, pads, strict=True))


def _slide(sides: tuple[int, int], kernel: Pair, strides: int, padding: Padding) -> tuple[int, int]:
    """Returns height and width of the output of a window that slides over an image."""
    rows, columns = geometry.window(kernel, strides, padding).axes(*sides)
    return rows.out, columns.out
