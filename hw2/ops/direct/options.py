"""What the ops of the kernel are told: windows, and the sizes of images."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.python.saved_model.save_context import in_save_context  # has no public name

from hw2.ops import fusion
from hw2.ops.direct import library
from hw2.ops.direct.unavailable import Unavailable
from hw2.ops.geometry import Window
from hw2.ops.tensors import in_xla

DTYPES = (tf.bfloat16, tf.float16, tf.float32, tf.float64)


def usable(x: tf.Tensor) -> bool:
    """Whether the kernel may do the work here; builds it where it is not built yet.

    Not where a GPU does it, in graphs that XLA compiles, and in a SavedModel, which is read where
    there is no hw2; nor for integers, nor where the kernel cannot be built.
    """
    if fusion.gpus() or in_save_context() or refusal(x):
        return False
    return library.available() and library.fast()


def refusal(x: tf.Tensor) -> str | None:
    """What the kernel would need of images and does not get; None where it can take them."""
    if x.dtype not in DTYPES:
        return f"{', '.join(d.name for d in DTYPES)}, got {x.dtype.name}"
    if in_xla():
        return "a graph that XLA does not compile, for which there is no such kernel"
    return None


def check(x: tf.Tensor) -> None:
    """Raises a `ValueError` where images cannot be given to the kernel, with the reason."""
    if reason := refusal(x):
        raise ValueError(f"direct must have {reason}.")
    try:
        library.load()
    except Unavailable as error:
        raise ValueError(str(error)) from None  # in a graph, AutoGraph takes no type but its own


def of_window(window: Window) -> dict:
    """The window as attributes, without its kernel."""
    explicit = not isinstance(window.padding, str)
    return {
        "strides": window.strides,
        "dilations": window.dilations,
        "padding": "EXPLICIT" if explicit else window.padding,
        "pads": [v for pair in window.padding for v in pair] if explicit else [0] * 4,
    }


def of_op(op: tf.Operation) -> dict:
    """The same attributes, read from an op for those of its gradient."""
    return {name: op.get_attr(name) for name in ("strides", "dilations", "padding", "pads")}


def image_size(x: tf.Tensor) -> tf.Tensor | tf.TensorShape:
    """Rows and columns of images, as the gradients' ops take them."""
    size = x.shape[1:3]
    return size if size.is_fully_defined() else tf.shape(x)[1:3]
