"""The ops that `verify` runs, each with its twin in TensorFlow and its definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.ops.verify import definition
from hw2.ops.verify.case import Case


def _has_none(case: Case, *tensors: tf.Tensor) -> tf.Tensor:
    """Stands for the twin of an op that TensorFlow has not."""
    raise ValueError(f"TensorFlow has no {case.op}.")


class Op(NamedTuple):
    """An op, and the two things it is held against."""

    inputs: Callable[[Case], list[tuple[int, ...]]]
    output: Callable[[Case], tuple[int, ...]]
    ours: Callable[..., tf.Tensor]  # (case, x, w, ...) -> y
    twin: Callable[..., tf.Tensor]  # TensorFlow's op, called likewise
    truth: Callable[..., tuple[np.ndarray, list[np.ndarray]]]
    axes: int = 2  # of its images: 1 for signals, 3 for volumes
    smooth: bool = True  # whether it has second derivatives everywhere
    linear: tuple[tuple[int, ...], ...] = (
        (0,),
        (1,),
        (2,),
    )  # in these inputs, those of one at once
    draw: Callable[[list[np.ndarray]], list[np.ndarray]] = list  # from values in [-1, 1] to inputs


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
    "unfold1d": Op(
        inputs=lambda c: [c.image],
        output=lambda c: c.patches,
        ours=lambda c, x: ops.unfold1d(x, *c.window),
        twin=_has_none,
        truth=definition.unfold,
        axes=1,
    ),
    "unfold3d": Op(
        inputs=lambda c: [c.image],
        output=lambda c: c.patches,
        ours=lambda c, x: ops.unfold3d(x, *c.window),
        twin=lambda c, x: _extract_volume_patches(c, x),
        truth=definition.unfold,
        axes=3,
    ),
    "fold1d": Op(
        inputs=lambda c: [c.patches],
        output=lambda c: c.image,
        ours=lambda c, patches: ops.fold1d(patches, c.image[1], *c.window),
        twin=_has_none,
        truth=definition.fold,
        axes=1,
    ),
    "fold3d": Op(
        inputs=lambda c: [c.patches],
        output=lambda c: c.image,
        ours=lambda c, patches: ops.fold3d(patches, c.image[1:4], *c.window),
        twin=_has_none,
        truth=definition.fold,
        axes=3,
    ),
    "conv2d": Op(
        inputs=lambda c: _image_and_filters(c),
        output=lambda c: (c.image[0], *c.positions, c.filters),
        ours=lambda c, x, w: ops.conv2d(x, w, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.conv2d(
            x, w, c.window.strides, c.tf_padding, dilations=c.window.dilations
        ),
        truth=definition.conv,
    ),
    "conv1d": Op(
        inputs=lambda c: _image_and_filters(c),
        output=lambda c: (c.image[0], *c.positions, c.filters),
        ours=lambda c, x, w: ops.conv1d(x, w, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.conv1d(
            x, w, c.window.strides[0], c.tf_padding, dilations=c.window.dilations[0]
        ),
        truth=definition.conv,
        axes=1,
    ),
    "conv3d": Op(
        inputs=lambda c: _image_and_filters(c),
        output=lambda c: (c.image[0], *c.positions, c.filters),
        ours=lambda c, x, w: ops.conv3d(x, w, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.conv3d(
            x, w, c.tf_numbers("strides"), c.tf_padding, dilations=c.tf_numbers("dilations")
        ),
        truth=definition.conv,
        axes=3,
    ),
    "conv2d_transpose": Op(
        inputs=lambda c: _result_and_filters(c),
        output=lambda c: c.image,
        ours=lambda c, x, w: ops.conv2d_transpose(x, w, c.image, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.conv2d_transpose(
            x, w, c.image, c.window.strides, c.tf_padding, dilations=c.window.dilations
        ),
        truth=definition.conv_transpose,
    ),
    "conv1d_transpose": Op(
        inputs=lambda c: _result_and_filters(c),
        output=lambda c: c.image,
        ours=lambda c, x, w: ops.conv1d_transpose(x, w, c.image, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.conv1d_transpose(
            x, w, c.image, c.window.strides[0], c.tf_padding, dilations=c.window.dilations[0]
        ),
        truth=definition.conv_transpose,
        axes=1,
    ),
    "conv3d_transpose": Op(
        inputs=lambda c: _result_and_filters(c),
        output=lambda c: c.image,
        ours=lambda c, x, w: ops.conv3d_transpose(x, w, c.image, *c.window[1:]),
        twin=lambda c, x, w: tf.nn.conv3d_transpose(
            _not_empty(x), w, c.image, c.window.strides, c.tf_padding, dilations=c.window.dilations
        ),
        truth=definition.conv_transpose,
        axes=3,
    ),
    "deform_conv2d": Op(
        inputs=lambda c: [
            *_image_and_filters(c),
            *(
                (c.image[0], *c.positions, each * c.offset_groups * math.prod(c.window.kernel))
                for each in (2, 1)
            ),
        ],
        output=lambda c: (c.image[0], *c.positions, c.filters),
        ours=lambda c, x, w, offsets, mask: ops.deform_conv2d(x, w, offsets, mask, *c.window[1:]),
        twin=_has_none,
        truth=definition.deform_conv2d,
        linear=((0,), (1,), (3,)),
        draw=lambda values: [*values[:2], _between_pixels(values[2]), *values[3:]],
    ),
    "octave_conv2d": Op(
        inputs=lambda c: [
            (*c.image[:3], c.image[3] - c.low[3]),
            c.low,
            (*c.window.kernel, c.image[3], c.filters),
        ],
        output=lambda c: (c.image[0], c.octaves),
        ours=lambda c, high, low, w: _side_by_side(
            ops.octave_conv2d(high, low, w, c.filters // 2, c.window.strides, c.window.dilations)
        ),
        twin=_has_none,
        truth=definition.octave_conv2d,
        linear=((0, 1), (2,)),
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
        smooth=False,
        draw=lambda values: [np.round(4 * v) / 4 for v in values],  # so that some are equal
    ),
    "avg_pool2d": Op(
        inputs=lambda c: [c.image],
        output=lambda c: (c.image[0], *c.positions, c.image[3]),
        ours=lambda c, x: ops.avg_pool2d(x, *c.window),
        twin=lambda c, x: tf.nn.avg_pool2d(x, *_undilated(c), c.tf_padding),
        truth=definition.avg_pool2d,
    ),
}


def _not_empty(x: tf.Tensor) -> tf.Tensor:
    if 0 in x.shape:
        raise ValueError("tf.nn 2.21 ends the process in a conv3d_transpose of nothing.")
    return x


def _image_and_filters(case: Case) -> list[tuple[int, ...]]:
    filters = (*case.window.kernel, case.image[-1] // case.groups, case.filters)
    return [case.image, filters]


def _result_and_filters(case: Case) -> list[tuple[int, ...]]:
    _, filters = _image_and_filters(case)
    return [(case.image[0], *case.positions, case.filters), filters]


def _between_pixels(values: np.ndarray) -> np.ndarray:
    """Offsets within three pixels that are never whole, exact in every dtype: odd sixteenths."""
    return (2 * np.floor(23.9 * values) + 1) / 16


def _side_by_side(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Two results as a row for each image."""
    return tf.concat([tf.reshape(part, [len(part), math.prod(part.shape[1:])]) for part in pair], 1)


def _extract_volume_patches(case: Case, x: tf.Tensor) -> tf.Tensor:
    if case.window.dilations != (1, 1, 1):
        raise ValueError("TensorFlow has no dilated patches of volumes.")
    sizes = case.tf_numbers("kernel"), case.tf_numbers("strides")
    return tf.extract_volume_patches(x, *sizes, case.window.padding)


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


def _undilated(case: Case) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Kernel and strides of TensorFlow's pools."""
    if case.window.dilations != (1, 1):
        raise ValueError("tf.nn pools without dilations only.")
    if case.image[0] == 0:
        raise ValueError("tf.nn 2.21 aborts the process in the gradient of an empty batch.")
    return case.window.kernel, case.window.strides
