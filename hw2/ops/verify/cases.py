"""What `verify` runs: the ops with their twins and definitions, and the shapes to try."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.ops.geometry import Window
from hw2.ops.verify import definition


class Case(NamedTuple):
    """One op at one shape."""

    op: str
    dtype: str
    image: tuple[int, int, int, int]  # [N, H, W, C]
    window: Window
    filters: int = 1
    groups: int = 1

    @property
    def positions(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        return definition.positions(self.image[1:3], self.window)

    @property
    def patches(self) -> tuple[int, int, int, int]:
        """Shape of the patches, `[N, H', W', kH*kW*C]`."""
        kh, kw = self.window.kernel
        return (self.image[0], *self.positions, kh * kw * self.image[3])

    @property
    def multiplier(self) -> int:
        """Filters for each channel of a depthwise convolution."""
        return 1 + self.filters % 2

    @property
    def options_of_row(self) -> tuple:
        """Stride, padding and dilation of `conv1d`."""
        pads = self.window.padding
        return (
            self.window.strides[1],
            pads if isinstance(pads, str) else pads[1],
            self.window.dilations[1],
        )

    @property
    def tf_padding(self) -> str | list:
        """The padding as `tf.nn` writes it."""
        pads = self.window.padding
        return pads if isinstance(pads, str) else [(0, 0), *pads, (0, 0)]

    def __str__(self) -> str:
        n, h, w, c = self.image
        (kh, kw), (sh, sw), pads, (dh, dw) = self.window
        if not isinstance(pads, str):
            pads = "/".join(str(v) for pad in pads for v in pad)
        text = f"{n}x{h}x{w}x{c} {kh}x{kw}->{self.filters} s{sh}x{sw} d{dh}x{dw} {pads}"
        return text + (f" g{self.groups}" if self.groups > 1 else "")


class Op(NamedTuple):
    """An op, and the two things it is held against."""

    inputs: Callable[[Case], list[tuple[int, ...]]]
    output: Callable[[Case], tuple[int, ...]]
    ours: Callable[..., tf.Tensor]  # (case, x, w, ...) -> y
    twin: Callable[..., tf.Tensor]  # TensorFlow's op, called likewise
    truth: Callable[..., tuple[np.ndarray, list[np.ndarray]]]


OPS = {
    "unfold": Op(
        inputs=lambda c: [c.image],
        output=lambda c: c.patches,
        ours=lambda c, x: ops.unfold(x, *c.window),
        twin=lambda c, x: _extract_patches(c, x),
        truth=definition.unfold,
    ),
    "fold": Op(
        inputs=lambda c: [c.patches],
        output=lambda c: c.image,
        ours=lambda c, patches: ops.fold(patches, c.image[1:3], *c.window),
        twin=lambda c, patches: _gradient_of_extract_patches(c, patches),
        truth=definition.fold,
    ),
    "conv2d": Op(
        inputs=lambda c: [c.image, (*c.window.kernel, c.image[3] // c.groups, c.filters)],
        output=lambda c: (c.image[0], *c.positions, c.filters),
        ours=lambda c, x, w: ops.conv2d(x, w, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.conv2d(
            x, w, c.window.strides, c.tf_padding, dilations=c.window.dilations
        ),
        truth=definition.conv2d,
    ),
    "conv1d": Op(
        inputs=lambda c: [
            (c.image[0], *c.image[2:]),
            (c.window.kernel[1], c.image[3] // c.groups, c.filters),
        ],
        output=lambda c: (c.image[0], c.positions[1], c.filters),
        ours=lambda c, x, w: ops.conv1d(x, w, *c.options_of_row),
        twin=lambda c, x, w: tf.nn.conv1d(
            x, w, c.options_of_row[0], c.options_of_row[1], dilations=c.options_of_row[2]
        ),
        truth=definition.conv1d,
    ),
    "conv2d_transpose": Op(
        inputs=lambda c: [
            (c.image[0], *c.positions, c.filters),
            (*c.window.kernel, c.image[3] // c.groups, c.filters),
        ],
        output=lambda c: c.image,
        ours=lambda c, x, w: ops.conv2d_transpose(x, w, c.image, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.conv2d_transpose(
            x, w, c.image, c.window.strides, c.tf_padding, dilations=c.window.dilations
        ),
        truth=definition.conv2d_transpose,
    ),
    "depthwise_conv2d": Op(
        inputs=lambda c: [c.image, (*c.window.kernel, c.image[3], c.multiplier)],
        output=lambda c: (c.image[0], *c.positions, c.image[3] * c.multiplier),
        ours=lambda c, x, w: ops.depthwise_conv2d(x, w, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.depthwise_conv2d(
            x, w, [1, *c.window.strides, 1], c.tf_padding, dilations=c.window.dilations
        ),
        truth=definition.depthwise_conv2d,
    ),
    "separable_conv2d": Op(
        inputs=lambda c: [
            c.image,
            (*c.window.kernel, c.image[3], c.multiplier),
            (1, 1, c.image[3] * c.multiplier, c.filters),
        ],
        output=lambda c: (c.image[0], *c.positions, c.filters),
        ours=lambda c, x, d, p: ops.separable_conv2d(x, d, p, *c.window[1:]),
        twin=lambda c, x, d, p: tf.nn.separable_conv2d(
            x, d, p, [1, *c.window.strides, 1], c.tf_padding, dilations=c.window.dilations
        ),
        truth=definition.separable_conv2d,
    ),
    "locally_connected2d": Op(
        inputs=lambda c: [c.image, (*c.positions, *c.window.kernel, c.image[3], c.filters)],
        output=lambda c: (c.image[0], *c.positions, c.filters),
        ours=lambda c, x, w: ops.locally_connected2d(x, w, *c.window[1:]),
        twin=lambda c, x, w: tf.einsum(
            "nijk,ijko->nijo",
            _extract_patches(c, x),
            tf.reshape(w, [*c.positions, c.patches[3], c.filters]),
        ),
        truth=definition.locally_connected2d,
    ),
    "max_pool2d": Op(
        inputs=lambda c: [c.image],
        output=lambda c: (c.image[0], *c.positions, c.image[3]),
        ours=lambda c, x: ops.max_pool2d(x, *c.window),
        twin=lambda c, x: tf.nn.max_pool2d(x, *_undilated(c), c.tf_padding),
        truth=definition.max_pool2d,
    ),
    "avg_pool2d": Op(
        inputs=lambda c: [c.image],
        output=lambda c: (c.image[0], *c.positions, c.image[3]),
        ours=lambda c, x: ops.avg_pool2d(x, *c.window),
        twin=lambda c, x: tf.nn.avg_pool2d(x, *_undilated(c), c.tf_padding),
        truth=definition.avg_pool2d,
    ),
}


_Padding = str | tuple[tuple[int, int], tuple[int, int]]
_GROUPED = ("conv2d", "conv1d", "conv2d_transpose")
# Layers of inception10, ResNet-50 and a digits classifier: image, kernel, strides, filters.
_LAYERS = [
    ((2, 100, 100, 3), (7, 7), (2, 2), 64),
    ((2, 25, 25, 64), (3, 3), (1, 1), 96),
    ((2, 28, 28, 96), (1, 1), (1, 1), 128),
    ((2, 14, 14, 32), (5, 5), (1, 1), 64),
    ((1, 56, 56, 64), (1, 1), (2, 2), 128),
    ((2, 7, 7, 256), (3, 3), (1, 1), 256),
    ((8, 8, 8, 1), (3, 3), (1, 1), 16),
]
# The edge of what is legal: image, kernel, strides, filters; all with SAME padding.
_EDGES = [
    ((2, 2, 3, 2), (5, 7), (1, 1), 3),  # kernel larger than the image
    ((2, 9, 8, 2), (2, 2), (5, 3), 3),  # stride larger than the kernel
    ((1, 1, 1, 1), (1, 1), (1, 1), 1),  # one pixel
    ((1, 1, 1, 3), (3, 3), (2, 2), 4),
    ((0, 5, 5, 2), (3, 3), (1, 1), 4),  # empty batch
    ((2, 5, 5, 2), (3, 3), (1, 1), 0),  # no filters
]


def grid(op: str, dtype: str) -> list[Case]:
    """Every combination of options on a small image, layers of real networks, and the edges."""
    paddings: list[_Padding] = ["SAME", "VALID", ((1, 0), (2, 3))]
    options = itertools.product(
        [(3, 3), (2, 5)],
        [(1, 1), (2, 3)],
        paddings,
        [(1, 1), (2, 1)],
        [1, 2] if op in _GROUPED else [1],
    )
    cases = [
        Case(op, dtype, (2, 9, 12, 4), Window(kernel, strides, padding, dilations), 6, groups)
        for kernel, strides, padding, dilations, groups in options
    ]
    if op != "locally_connected2d":  # would be gigabytes of weights
        cases += [
            Case(op, dtype, image, Window(kernel, strides), filters)
            for image, kernel, strides, filters in _LAYERS
        ]
    cases += [
        Case(op, dtype, image, Window(kernel, strides), filters)
        for image, kernel, strides, filters in _EDGES
    ]
    return [_of_one_row(case) for case in cases] if op == "conv1d" else cases


def draw(op: str, dtype: str, rng: np.random.Generator) -> Case:
    """One case out of the whole legal space of small shapes."""

    def pair(high: int) -> tuple[int, int]:
        return int(rng.integers(1, high)), int(rng.integers(1, high))

    groups = int(rng.integers(1, 4)) if op in _GROUPED else 1
    above, beside = ((int(a), int(b)) for a, b in rng.integers(0, 5, (2, 2)))
    paddings: list[_Padding] = ["SAME", "VALID", (above, beside)]
    case = Case(
        op,
        dtype,
        (int(rng.integers(0, 4)), *pair(13), groups * int(rng.integers(1, 4))),
        Window(pair(6), pair(5), paddings[rng.integers(3)], pair(4)),
        groups * int(rng.integers(0, 4)),
        groups,
    )
    if op == "conv1d":
        case = _of_one_row(case)
    return case if min(case.positions) > 0 else draw(op, dtype, rng)


def _of_one_row(case: Case) -> Case:
    n, _, width, c = case.image
    (_, kw), (_, sw), pads, (_, dw) = case.window
    if not isinstance(pads, str):
        pads = ((0, 0), pads[1])
    return case._replace(image=(n, 1, width, c), window=Window((1, kw), (1, sw), pads, (1, dw)))


def _extract_patches(case: Case, x: tf.Tensor) -> tf.Tensor:
    kernel, strides, padding, dilations = case.window
    sizes = [(1, *value, 1) for value in (kernel, strides, dilations)]
    return tf.image.extract_patches(x, *sizes, padding)


def _gradient_of_extract_patches(case: Case, patches: tf.Tensor) -> tf.Tensor:
    x = tf.zeros(case.image, patches.dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = _extract_patches(case, x)
    return tape.gradient(y, x, patches)


def _undilated(case: Case) -> tuple[tuple[int, int], tuple[int, int]]:
    """Kernel and strides of TensorFlow's pools."""
    if case.window.dilations != (1, 1):
        raise ValueError("tf.nn pools without dilations only.")
    if case.image[0] == 0:
        raise ValueError("tf.nn 2.21 aborts the process in the gradient of an empty batch.")
    return case.window.kernel, case.window.strides
