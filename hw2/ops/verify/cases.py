"""What `verify` runs: the shapes to try, real, at the edges and at random."""

from __future__ import annotations

import itertools

import numpy as np

from hw2.ops.geometry import Window
from hw2.ops.verify.case import Case as Case
from hw2.ops.verify.counterparts import OPS as OPS
from hw2.ops.verify.counterparts import Op as Op

_GROUPED = (
    "conv1d",
    "conv2d",
    "conv3d",
    "conv1d_transpose",
    "conv2d_transpose",
    "conv3d_transpose",
    "deform_conv2d",
)
# An image, and kernel, strides and filters.
_Shape = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]
# Layers of inception10, ResNet-50 and a digits classifier: image, kernel, strides, filters.
_LAYERS: list[_Shape] = [
    ((2, 100, 100, 3), (7, 7), (2, 2), 64),
    ((2, 25, 25, 64), (3, 3), (1, 1), 96),
    ((2, 28, 28, 96), (1, 1), (1, 1), 128),
    ((2, 14, 14, 32), (5, 5), (1, 1), 64),
    ((1, 56, 56, 64), (1, 1), (2, 2), 128),
    ((2, 7, 7, 256), (3, 3), (1, 1), 256),
    ((8, 8, 8, 1), (3, 3), (1, 1), 16),
]
# The edge of what is legal: image, kernel, strides, filters; all with SAME padding.
_EDGES: list[_Shape] = [
    ((2, 2, 3, 2), (5, 7), (1, 1), 3),  # kernel larger than the image
    ((2, 9, 8, 2), (2, 2), (5, 3), 3),  # stride larger than the kernel
    ((1, 1, 1, 1), (1, 1), (1, 1), 1),  # one pixel
    ((1, 1, 1, 3), (3, 3), (2, 2), 4),
    ((0, 5, 5, 2), (3, 3), (1, 1), 4),  # empty batch
    ((2, 5, 5, 2), (3, 3), (1, 1), 0),  # no filters
]
_VOLUMES: list[_Shape] = [
    ((2, 8, 28, 28, 3), (3, 3, 3), (1, 2, 2), 16),  # of clips, as C3D reads them, but smaller
    ((1, 4, 14, 14, 32), (3, 3, 3), (1, 1, 1), 32),
    ((1, 4, 14, 14, 32), (1, 1, 1), (1, 1, 1), 64),
    ((2, 2, 3, 2, 2), (4, 5, 3), (1, 1, 1), 3),  # kernel larger than the volume
    ((2, 9, 4, 5, 2), (2, 2, 2), (5, 3, 2), 3),  # stride larger than the kernel
    ((1, 1, 1, 1, 1), (1, 1, 1), (1, 1, 1), 1),
    ((0, 5, 5, 5, 2), (3, 3, 3), (1, 1, 1), 4),
    ((2, 5, 5, 5, 2), (3, 3, 3), (1, 1, 1), 0),
]
_SIGNALS: list[_Shape] = [
    ((2, 1000, 16), (9,), (2,), 32),
    ((2, 3, 2), (7,), (1,), 3),
    ((2, 9, 2), (2,), (5,), 3),
    ((1, 1, 1), (1,), (1,), 1),
    ((0, 5, 2), (3,), (1,), 4),
    ((2, 5, 2), (3,), (1,), 0),
]
# By the number of axes: an image, and the options that are combined over it.
_OPTIONS: dict[int, tuple[tuple[int, ...], list[list]]] = {
    1: ((2, 12, 4), [[(3,), (5,)], [(1,), (3,)], ["SAME", "VALID", ((2, 3),)], [(1,), (2,)]]),
    2: (
        (2, 9, 12, 4),
        [
            [(3, 3), (2, 5)],
            [(1, 1), (2, 3)],
            ["SAME", "VALID", ((1, 0), (2, 3))],
            [(1, 1), (2, 1)],
        ],
    ),
    3: (
        (2, 6, 7, 8, 4),
        [
            [(3, 3, 3), (2, 1, 4)],
            [(1, 1, 1), (2, 3, 1)],
            ["SAME", "VALID", ((1, 0), (2, 3), (0, 1))],
            [(1, 1, 1), (2, 1, 2)],
        ],
    ),
}
_LARGEST = {1: (12, 5, 4, 3), 2: (12, 5, 4, 3), 3: (6, 3, 3, 2)}  # size, kernel, stride, dilation


def grid(op: str, dtype: str) -> list[Case]:
    """Every combination of options on a small image, layers of real networks, and the edges."""
    axes = OPS[op].axes
    image, options = _OPTIONS[axes]
    groups = [1, 2] if op in _GROUPED else [1]
    cases = [
        Case(op, dtype, image, Window(kernel, strides, padding, dilations), 6, number)
        for kernel, strides, padding, dilations, number in itertools.product(*options, groups)
    ]
    large = op in ("locally_connected2d", "deform_conv2d")  # its weights, or its definition
    layers = _EDGES if large else [*_LAYERS, *_EDGES]
    cases += [
        Case(op, dtype, image, Window(kernel, strides), filters)
        for image, kernel, strides, filters in {1: _SIGNALS, 2: layers, 3: _VOLUMES}[axes]
    ]
    return [case for case in cases if _takes(case)]


def draw(op: str, dtype: str, rng: np.random.Generator) -> Case:
    """One case out of the whole legal space of small shapes."""
    axes = OPS[op].axes
    size, kernel, stride, dilation = _LARGEST[axes]

    def numbers(largest: int) -> tuple[int, ...]:
        return tuple(int(rng.integers(1, largest + 1)) for _ in range(axes))

    groups = int(rng.integers(1, 4)) if op in _GROUPED else 1
    pads = tuple((int(a), int(b)) for a, b in rng.integers(0, 5, (axes, 2)))
    paddings: list[str | tuple[tuple[int, int], ...]] = ["SAME", "VALID", pads]
    case = Case(
        op,
        dtype,
        (int(rng.integers(0, 4)), *numbers(size), groups * int(rng.integers(1, 4))),
        Window(numbers(kernel), numbers(stride), paddings[rng.integers(3)], numbers(dilation)),
        groups * int(rng.integers(0, 4)),
        groups,
    )
    return case if min(case.positions) > 0 and _takes(case) else draw(op, dtype, rng)


def _takes(case: Case) -> bool:
    """Whether the op takes such windows: octave convolution only those that keep two sizes."""
    return case.op != "octave_conv2d" or case.window.padding == "SAME"
