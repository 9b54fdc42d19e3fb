"""What every op does at its door: one dtype, channels last, sums in at least float32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

# Has no public name; TensorFlow asks the same way before it opens such a context.
from tensorflow.python.ops.control_flow_util import GraphOrParentsInXlaContext

from hw2.ops.geometry import Size

_TO_LAST = {"NHWC": None, "NWC": None, "NCHW": [0, 2, 3, 1], "NCW": [0, 2, 1]}
_FROM_LAST = {"NHWC": None, "NWC": None, "NCHW": [0, 3, 1, 2], "NCW": [0, 2, 1]}


def images(x: tf.Tensor, data_format: str = "NHWC") -> tf.Tensor:
    """Reads images and turns them to channels last.

    Args:
      x: `[N, H, W, C]`, or `[N, C, H, W]` if `data_format` says so; any size may be unknown.
      data_format: "NHWC" or "NCHW".

    Raises:
      ValueError: Another rank or another format.
    """
    return _read(x, data_format, ("NHWC", "NCHW"))


def signals(x: tf.Tensor, data_format: str = "NWC") -> tf.Tensor:
    """Reads signals, `[N, W, C]` or `[N, C, W]`, as `images` reads images."""
    return _read(x, data_format, ("NWC", "NCW"))


def restore(y: tf.Tensor, data_format: str) -> tf.Tensor:
    """Turns channels last back into the caller's format."""
    return _transpose(y, _FROM_LAST[data_format])


def weights(w: tf.Tensor, axes: str, x: tf.Tensor, name: str = "w") -> tf.Tensor:
    """Reads weights that belong to images `x`.

    Args:
      w: Of known sizes.
      axes: Names of the axes, for example "kH, kW, C, O".
      x: The images, whose dtype the weights must have.

    Raises:
      ValueError: Another rank or dtype, or an unknown size.
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
    """Refuses images of other than `c` channels."""
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
    """Size of one axis: an int where it is known, else a scalar tensor."""
    static = x.shape[index]
    return tf.shape(x)[index] if static is None else static


def with_shape(x: tf.Tensor, shape: Sequence[Size]) -> tf.Tensor:
    """Tells a tensor those of its sizes that are ints; inference loses some among unknown ones."""
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
