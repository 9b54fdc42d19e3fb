"""Fusion of many small operations into one pass over memory, by XLA."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import tensorflow as tf

# Has no public name; TensorFlow asks the same way before it calls what checks each operation.
from tensorflow.python.framework.op_callbacks import should_invoke_op_callbacks

LEAST = 2**18  # values; fewer fit into the cache, and are not worth 0.2 seconds of compilation


def fused(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Compiles a function of tensors with XLA where that pays; elsewhere it is called as it is.

    It pays for pads, slices and sums of large tensors on a CPU, which TensorFlow computes one
    after another, each with a pass over memory. Nothing is compiled in eager mode, where shapes
    vary from call to call, nor for shapes that are unknown before running, nor with a GPU, nor
    while values are `checked`.
    """

    @functools.wraps(function)
    def call(*tensors: tf.Tensor) -> tf.Tensor:
        if not pays(*tensors):
            return function(*tensors)
        return tf.function(function, autograph=False, jit_compile=True)(*tensors)

    return call


def pays(*tensors: tf.Tensor) -> bool:
    """Whether `fused` compiles a function of such tensors."""
    if tf.executing_eagerly() or checked() or not all(t.shape.is_fully_defined() for t in tensors):
        return False
    return sum(math.prod(t.shape) for t in tensors) >= LEAST and not gpus()


def checked() -> bool:
    """Whether something looks at the result of each operation, as `tf.debugging` can.

    Such a look is an operation itself, for which XLA has none, and it takes time.
    """
    return bool(should_invoke_op_callbacks())


def warm_up() -> None:
    """Compiles a trivial function, so that XLA and oneDNN write their start-up lines now.

    They write them once per process; call this while stderr is held back.
    """
    if checked():
        return
    tf.function(tf.identity, autograph=False, jit_compile=True)(tf.zeros([]))
    # A transposed tensor of booleans, as TensorFlow makes of the check of a filter's gradient.
    check = tf.function(lambda x: tf.math.is_finite(tf.transpose(2 * x)), autograph=False)
    check(tf.zeros([2, 2]))


@functools.cache
def gpus() -> bool:
    """Whether TensorFlow has a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))
