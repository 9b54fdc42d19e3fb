"""One op at one shape."""

from __future__ import annotations

import math
from typing import NamedTuple

from hw2.ops.geometry import Window
from hw2.ops.verify import definition


class Case(NamedTuple):
    """One op at one shape, of signals, images or volumes."""

    op: str
    dtype: str
    image: tuple[int, ...]  # [N, H, W, C]
    window: Window
    filters: int = 1
    groups: int = 1

    @property
    def positions(self) -> tuple[int, ...]:
        """Rows and columns of the output."""
        return definition.positions(self.image[1:-1], self.window)

    @property
    def patches(self) -> tuple[int, ...]:
        """Shape of the patches, `[N, H', W', kH*kW*C]`."""
        taps = math.prod(self.window.kernel)
        return (self.image[0], *self.positions, taps * self.image[-1])

    @property
    def multiplier(self) -> int:
        """Filters for each channel of a depthwise convolution."""
        return 1 + self.filters % 2

    @property
    def offset_groups(self) -> int:
        """Groups of channels of a deformable convolution that have offsets of their own."""
        return self.groups if self.filters % 2 else 1

    @property
    def low(self) -> tuple[int, int, int, int]:
        """Of an octave convolution of these channels, the images that have half the size."""
        n, height, width, c = self.image
        return n, -(-height // 2), -(-width // 2), c // 2

    @property
    def octaves(self) -> int:
        """Values for each image that an octave convolution has in both its results."""
        high, wide = self.positions
        low_filters = self.filters // 2
        kept = self.filters - low_filters
        return kept * high * wide + low_filters * -(-high // 2) * -(-wide // 2)

    @property
    def tf_padding(self) -> str | list:
        """The padding as `tf.nn` writes it."""
        pads = self.window.padding
        return pads if isinstance(pads, str) else [(0, 0), *pads, (0, 0)]

    def tf_numbers(self, name: str) -> list[int]:
        """An option of the window as `tf.nn` writes it, with 1 for batch and channels."""
        return [1, *getattr(self.window, name), 1]

    def __str__(self) -> str:
        kernel, strides, pads, dilations = self.window
        image, sides, steps, spread = (
            "x".join(map(str, v)) for v in (self.image, kernel, strides, dilations)
        )
        if not isinstance(pads, str):
            pads = "/".join(str(v) for pad in pads for v in pad)
        text = f"{image} {sides}->{self.filters} s{steps} d{spread} {pads}"
        return text + (f" g{self.groups}" if self.groups > 1 else "")
