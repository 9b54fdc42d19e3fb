"""One call of every op, for the tests that all ops must pass alike."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from hw2 import ops


class Call(NamedTuple):
    """An op with options, the shape of its images, and the shapes of its weights."""

    run: Callable[..., tf.Tensor]
    image: tuple[int, ...]
    weights: tuple[tuple[int, ...], ...] = ()


def of_each(x, values):
    """The same values for every image."""
    return tf.repeat(values[None], tf.shape(x)[0], 0)


def octaves(high, low):
    """Both results of an octave convolution as one."""
    return tf.concat([high[:, ::2, ::2], low], 3)


IMAGE = (2, 5, 6, 4)
CALLS = {
    "unfold": Call(lambda x: ops.unfold(x, (3, 2), 2), IMAGE),
    "fold": Call(lambda p: ops.fold(p, (5, 6), (3, 2), 2), (2, 3, 3, 24)),
    "fold_mean": Call(lambda p: ops.fold(p, (5, 6), 3, (2, 1), reduction="mean"), (2, 3, 6, 18)),
    "unfold3d": Call(lambda x: ops.unfold3d(x, (2, 3, 1), (1, 2, 1)), (2, 4, 5, 3, 2)),
    "fold3d_mean": Call(
        lambda p: ops.fold3d(p, (4, 5, 3), (2, 3, 1), (1, 2, 1), reduction="mean"),
        (2, 4, 3, 3, 12),
    ),
    "conv2d": Call(lambda x, w: ops.conv2d(x, w, (1, 2), ((1, 0), (0, 2))), IMAGE, ((3, 2, 4, 3),)),
    "conv2d_groups": Call(lambda x, w: ops.conv2d(x, w, dilations=2), IMAGE, ((3, 3, 2, 6),)),
    "conv1d": Call(lambda x, w: ops.conv1d(x, w, 2), (2, 6, 4), ((3, 4, 3),)),
    "conv3d": Call(
        lambda x, w: ops.conv3d(x, w, (1, 2, 1), ((1, 0), (0, 2), (0, 0))),
        (2, 4, 5, 3, 4),
        ((3, 2, 1, 2, 6),),
    ),
    "conv1d_transpose": Call(
        lambda x, w: ops.conv1d_transpose(x, w, 11, 2), (2, 6, 4), ((3, 2, 4),)
    ),
    "conv3d_transpose": Call(
        lambda x, w: ops.conv3d_transpose(x, w, (4, 5, 6), 2), (2, 2, 3, 3, 4), ((3, 2, 3, 2, 4),)
    ),
    "deform_conv2d": Call(
        lambda x, w, o, m: ops.deform_conv2d(x, w, of_each(x, o), of_each(x, m), (2, 1)),
        IMAGE,
        ((3, 2, 2, 6), (3, 6, 24), (3, 6, 12)),
    ),
    "octave_conv2d": Call(
        lambda x, w: octaves(*ops.octave_conv2d(x[..., :3], x[:, ::2, ::2, 3:], w, 2)),
        IMAGE,
        ((3, 2, 4, 4),),
    ),
    "conv2d_transpose": Call(
        lambda x, w: ops.conv2d_transpose(x, w, (10, 11), 2), IMAGE, ((3, 3, 2, 4),)
    ),
    "depthwise_conv2d": Call(
        lambda x, w: ops.depthwise_conv2d(x, w, (2, 1)), IMAGE, ((3, 2, 4, 2),)
    ),
    "separable_conv2d": Call(
        lambda x, d, p: ops.separable_conv2d(x, d, p, 2), IMAGE, ((3, 3, 4, 1), (1, 1, 4, 3))
    ),
    "locally_connected2d": Call(
        lambda x, w: ops.locally_connected2d(x, w, 2, "VALID"), IMAGE, ((2, 3, 2, 2, 4, 3),)
    ),
    "max_pool2d": Call(lambda x: ops.max_pool2d(x, 3, 2), IMAGE),
    "avg_pool2d": Call(lambda x: ops.avg_pool2d(x, 3, 2), IMAGE),
}
