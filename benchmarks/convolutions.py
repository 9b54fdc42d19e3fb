"""Convolutions to time: those of known networks, and others drawn by a seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Shape(NamedTuple):
    """Square images, filters, and how they meet."""

    name: str
    batch: int
    side: int  # pixels
    kernel: tuple[int, int]
    stride: int
    dilation: int
    padding: str
    c: int
    o: int

    @property
    def out(self) -> tuple[int, int]:
        """Rows and columns of the result."""
        if self.padding == "SAME":
            return (-(-self.side // self.stride),) * 2
        rows, columns = (
            (self.side - (k - 1) * self.dilation - 1) // self.stride + 1 for k in self.kernel
        )
        return rows, columns

    @property
    def multiply_adds(self) -> int:
        """Of the forward pass; each gradient takes as many."""
        rows, columns = self.out
        return self.batch * rows * columns * self.kernel[0] * self.kernel[1] * self.c * self.o

    @property
    def megabytes(self) -> float:
        """Images, result and the matrix of patches in float32, in 10^6 bytes."""
        images = self.batch * self.side**2 * self.c
        result = self.batch * self.out[0] * self.out[1] * self.o
        return 4e-6 * (images + result + self.multiply_adds / self.o)

    def __str__(self) -> str:
        dilation = f" dilated by {self.dilation}" if self.dilation > 1 else ""
        valid = " VALID" if self.padding == "VALID" else ""
        return (
            f"{self.batch}x{self.side}x{self.side}, {self.kernel[0]}x{self.kernel[1]}/"
            f"{self.stride}{dilation}{valid}, {self.c}->{self.o}"
        )


# (network, side, kernel, stride, channels in, channels out)
LAYERS = [
    ("inception10 conv1", 100, 3, 1, 3, 64),
    ("inception10 conv2", 100, 3, 2, 64, 128),
    ("inception10 1x1", 25, 1, 1, 128, 64),
    ("inception10 3x3", 25, 3, 1, 64, 96),
    ("inception10 3x3", 25, 3, 1, 96, 96),
    ("inception10 1x1", 13, 1, 1, 320, 96),
    ("inception10 3x3", 13, 3, 1, 96, 64),
    ("inception10 3x3", 13, 3, 1, 64, 64),
    ("resnet conv1", 224, 7, 2, 3, 64),
    ("resnet18 3x3", 56, 3, 1, 64, 64),
    ("resnet18 3x3/2", 56, 3, 2, 64, 128),
    ("resnet18 1x1/2", 56, 1, 2, 64, 128),
    ("resnet18 3x3", 28, 3, 1, 128, 128),
    ("resnet18 3x3/2", 28, 3, 2, 128, 256),
    ("resnet18 3x3", 14, 3, 1, 256, 256),
    ("resnet18 3x3/2", 14, 3, 2, 256, 512),
    ("resnet18 3x3", 7, 3, 1, 512, 512),
    ("resnet50 1x1", 56, 1, 1, 64, 256),
    ("resnet50 1x1", 56, 1, 1, 256, 64),
    ("resnet50 1x1/2", 56, 1, 2, 256, 512),
    ("resnet50 1x1", 14, 1, 1, 1024, 256),
    ("resnet50 1x1", 7, 1, 1, 512, 2048),
    ("densenet 1x1", 56, 1, 1, 128, 128),
    ("densenet 3x3", 56, 3, 1, 128, 32),
    ("densenet 1x1", 28, 1, 1, 256, 128),
    ("densenet 3x3", 28, 3, 1, 128, 32),
    ("densenet 3x3", 14, 3, 1, 128, 32),
    ("densenet 3x3", 7, 3, 1, 128, 32),
]

KERNELS = [(k, k) for k in range(1, 8)] + [(1, 7), (7, 1)]
MULTIPLY_ADDS = (5e7, 5e9)  # least: a millisecond or so, which can be timed; most: a second
MEGABYTES = 500


def layers(batch: int) -> list[Shape]:
    """The layers of known networks, with so many images."""
    return [
        Shape(name, batch, side, (kernel, kernel), stride, 1, "SAME", c, o)
        for name, side, kernel, stride, c, o in LAYERS
    ]


def drawn(count: int, *, seed: int) -> list[Shape]:
    """Draws shapes that fit `MULTIPLY_ADDS` and `MEGABYTES`; the same ones for the same seed.

    Batches, sides and channels are drawn by their logarithms. Half of the shapes have a stride of
    1, a third of 2; one in six is dilated, one in four has no padding, one in ten begins with the
    colours of a picture, and half of the other channels are multiples of 16.
    """
    rng = np.random.default_rng(seed)
    shapes: list[Shape] = []
    while len(shapes) < count:
        shape = _one(rng, f"drawn {len(shapes) + 1}")
        reach = (max(shape.kernel) - 1) * shape.dilation + 1
        if reach > shape.side or shape.megabytes > MEGABYTES:
            continue
        if MULTIPLY_ADDS[0] <= shape.multiply_adds <= MULTIPLY_ADDS[1]:
            shapes.append(shape)
    return shapes


def _one(rng: np.random.Generator, name: str) -> Shape:
    kernel = KERNELS[rng.integers(len(KERNELS))]
    return Shape(
        name,
        batch=_logarithmic(rng, 1, 64),
        side=_logarithmic(rng, 5, 224),
        kernel=kernel,
        stride=int(rng.choice([1, 1, 1, 2, 2, 3])),
        dilation=2 if kernel != (1, 1) and rng.random() < 1 / 6 else 1,
        padding="VALID" if rng.random() < 0.25 else "SAME",
        c=3 if rng.random() < 0.1 else _channels(rng),
        o=_channels(rng),
    )


def _channels(rng: np.random.Generator) -> int:
    count = _logarithmic(rng, 3, 512)
    return max(16, count // 16 * 16) if rng.random() < 0.5 else count


def _logarithmic(rng: np.random.Generator, low: int, high: int) -> int:
    """Draws from `low` to `high`, doubling as often at one end as at the other."""
    return int(np.exp(rng.uniform(np.log(low), np.log(high + 1))))
