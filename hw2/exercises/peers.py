"""The time that im2col and TensorFlow take for what a student's function does."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.exercises.course import Function

ROUNDS = 9


def seconds(function: Function, arguments: tuple) -> dict[str, float]:
    """Median seconds of "im2col" and "tf.nn", and what else there is, for a call."""
    calls = _CALLS.get(function.name)
    if calls is None:
        return {}
    given = [tf.constant(a) if isinstance(a, np.ndarray) else a for a in arguments]
    return {name: _median(call, given) for name, call in calls(*given).items()}


def _median(call: Callable[..., tf.Tensor], given: list) -> float:
    traced = tf.function(lambda *tensors: call(*tensors), autograph=False)
    tensors = [value for value in given if tf.is_tensor(value)]
    traced(*tensors)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        traced(*tensors).numpy()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _unfold(x, kernel):
    sizes = [1, *kernel, 1]
    return {
        "im2col": lambda x: ops.unfold(x, kernel, padding="VALID"),
        "tf.image": lambda x: tf.image.extract_patches(x, sizes, [1] * 4, [1] * 4, "VALID"),
    }


def _fold(patches, image_size, kernel):
    return {"im2col": lambda patches: ops.fold(patches, image_size, kernel, padding="VALID")}


def _conv2d(x, w, *options):
    """Of exercises 3, 5 and 6, which differ in their options."""
    strides, padding, dilations, biased = (1, 1), "VALID", (1, 1), False
    if len(options) == 2:
        padding, biased = options[1], True
    elif options:
        strides, padding, dilations = options

    def by(algorithm: str) -> Callable[..., tf.Tensor]:
        def call(x, w, bias=None):
            y = ops.conv2d(x, w, strides, padding, dilations, algorithm=algorithm)
            return y + bias if biased else y

        return call

    return {"im2col": by("im2col"), "tf.nn": by("native")}


def _gradient(by_filters: bool, algorithm: str, shape: tuple, padding: str):
    def call(first, second):
        with tf.GradientTape() as tape:
            x, w = (first, tf.zeros(shape)) if by_filters else (tf.zeros(shape), second)
            tape.watch([x, w])
            y = ops.conv2d(x, w, padding=padding, algorithm=algorithm)
        dy = second if by_filters else first
        return tape.gradient(y, w if by_filters else x, dy)

    return call


def _grad_filters(x, dy, kernel, padding):
    shape = (*kernel, x.shape[3], dy.shape[3])
    algorithms = {"im2col": "im2col", "tf.nn": "native"}
    return {name: _gradient(True, a, shape, padding) for name, a in algorithms.items()}


def _grad_images(dy, w, image_size, padding):
    shape = (dy.shape[0], *image_size, w.shape[2])
    algorithms = {"im2col": "im2col", "tf.nn": "native"}
    return {name: _gradient(False, a, shape, padding) for name, a in algorithms.items()}


def _batch_norm(x, gamma, beta, epsilon):
    def call(x, gamma, beta):
        mean, variance = tf.nn.moments(x, [0, 1, 2])
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)

    return {"tf.nn": call}


def _inner_loop(patches, filters, result):
    return {"tf.matmul": lambda patches, filters, result: result + patches @ filters}


_CALLS: dict[str, Callable[..., dict[str, Callable[..., tf.Tensor]]]] = {
    "unfold": _unfold,
    "fold": _fold,
    "conv2d": _conv2d,
    "grad_filters": _grad_filters,
    "grad_images": _grad_images,
    "batch_norm": _batch_norm,
    "inner_loop": _inner_loop,
}
