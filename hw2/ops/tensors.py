"""Checks and conversions of an op's arguments: dtype, channels last, sums in float32 or wider."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

# Has no public name; TensorFlow asks the same way before it opens such a context.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from hw2.ops.geometry import Size

_TO_LAST = {
    "NWC": None,
    "NHWC": None,
    "NDHWC": None,
    "NCW": [0, 2, 1],
    "NCHW": [0, 2, 3, 1],
    "NCDHW": [0, 2, 3, 4, 1],
}
_FROM_LAST = _TO_LAST | {"NCHW": [0, 3, 1, 2], "NCDHW": [0, 4, 1, 2, 3]}


def images(x: tf.Tensor, data_format: str = "NHWC") -> tf.Tensor:
    """Converts images to a tensor with channels last.

    Args:
      x: `[N, H, W, C]`, or `[N, C, H, W]` if `data_format` says so; any size may be unknown.
      data_format: "NHWC" or "NCHW".

    Raises:
      ValueError: The rank is not 4, or there is no such format.
    """
    return _read(x, data_format, ("NHWC", "NCHW"))


def signals(x: tf.Tensor, data_format: str = "NWC") -> tf.Tensor:
    """Converts signals `[N, W, C]` or `[N, C, W]`, as `images` does images."""
    return _read(x, data_format, ("NWC", "NCW"))


def volumes(x: tf.Tensor, data_format: str = "NDHWC") -> tf.Tensor:
    """Converts volumes `[N, D, H, W, C]` or `[N, C, D, H, W]`, as `images` does images."""
    return _read(x, data_format, ("NDHWC", "NCDHW"))


def restore(y: tf.Tensor, data_format: str) -> tf.Tensor:
    """Transposes a result with channels last back to the caller's format."""
    return _transpose(y, _FROM_LAST[data_format])


def weights(w: tf.Tensor, axes: str, x: tf.Tensor, name: str = "w") -> tf.Tensor:
    """Converts weights to a tensor, and checks them against images `x`.

    Args:
      w: The weights; all sizes must be known.
      axes: Names of the axes, for example "kH, kW, C, O".
      x: The images, whose dtype the weights must have.
      name: Name of the argument in messages.

    Raises:
      ValueError: The rank or dtype is another, or a size is unknown.
    """
    w = tf.convert_to_tensor(w)
    if w.shape.rank != axes.count(",") + 1 or not w.shape.is_fully_defined():
        raise ValueError(f"{name} must be [{axes}] with known sizes, got shape {w.shape}.")
    if x.dtype != w.dtype:
        raise ValueError(
            f"x and {name} must have the same dtype, got {x.dtype.name} and {w.dtype.name}."
        )
    return w


def check_channels(x: tf.Tensor, c: int) -> None:
    """Raises a `ValueError` unless the images have `c` channels."""
    if x.shape[-1] != c:
        raise ValueError(
            f"x and w must have the same number of channels C, got {x.shape[-1]} and {c}."
        )


def widen(x: tf.Tensor) -> tf.Tensor:
    """Casts float16 and bfloat16 to float32, so that sums round once, at the end."""
    return tf.cast(x, tf.float32) if x.dtype in (tf.float16, tf.bfloat16) else x


class Finish(NamedTuple):
    """What follows a convolution: a bias is added to the last axis, then ReLU.

    Called right behind a product, TensorFlow fuses them with it.
    """

    bias: tf.Tensor | None = None
    relu: bool = False

    def __call__(self, y: tf.Tensor) -> tf.Tensor:
        if self.bias is not None:
            y = tf.nn.bias_add(y, tf.cast(self.bias, y.dtype))
        return tf.nn.relu(y) if self.relu else y


UNFINISHED = Finish()


def in_xla() -> bool:
    """Whether a graph is being traced that XLA compiles."""
    return GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def length(x: tf.Tensor, index: int) -> Size:
    """Returns the size of one axis: an int where it is known, else a scalar tensor."""
    static = x.shape[index]
    return tf.shape(x)[index] if static is None else static


def with_shape(x: tf.Tensor, shape: Sequence[Size]) -> tf.Tensor:
    """Sets those static sizes that are ints; shape inference loses some among unknown ones."""
    x.set_shape([size if isinstance(size, int) else None for size in shape])
    return x


def _read(x: tf.Tensor, data_format: str, formats: tuple[str, str]) -> tf.Tensor:
    if data_format not in formats:
        raise ValueError(f"data_format must be {' or '.join(formats)}, got {data_format!r}.")
    x = tf.convert_to_tensor(x)
    if x.shape.rank != len(data_format):
        raise ValueError(f"x must be [{', '.join(data_format)}], got shape {x.shape}.")
    return _transpose(x, _TO_LAST[data_format])


def _transpose(x: tf.Tensor, order: list[int] | None) -> tf.Tensor:
    return x if order is None else tf.transpose(x, order)
