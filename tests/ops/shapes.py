"""What hypothesis draws: images, kernels and windows over the whole legal space of small sizes."""

import numpy as np
import oracle
import tensorflow as tf
from hypothesis import strategies as st

ADJOINT = 1e-12  # rounding errors of float64 sums are near 1e-16
FLOAT64 = 1e-13  # sums of at most 300 terms, each rounded to 1e-16
FLOAT32 = 2e-6  # the same in float32, rounded to 6e-8


# An image, a kernel and options in which no side, axis or tap is like another; tried in every run.
LOPSIDED = (
    (2, 6, 7, 2),
    (3, 2),
    {"strides": (1, 2), "padding": ((2, 0), (1, 3)), "dilations": (2, 3)},
)


def random(*shape, seed=0, dtype=np.float64):
    return tf.constant(np.random.default_rng(seed).standard_normal(shape), dtype)


def small(low: int, high: int, repeats: int = 2):
    return st.tuples(*[st.integers(low, high)] * repeats)


@st.composite
def windows(draw, channels: int = 3, axes: int = 2):
    """An image [N, H, W, C], a kernel, and options with which it has a position."""
    largest = 9 if axes < 3 else 5
    kernel = draw(small(1, min(5, largest - 2), axes))
    image = (
        draw(st.integers(0, 2)),
        *draw(small(1, largest, axes)),
        draw(st.integers(1, channels)),
    )
    paddings = st.sampled_from(["SAME", "VALID"]) | st.tuples(*[small(0, 4)] * axes)
    window = {
        "strides": draw(small(1, 5, axes)),
        "padding": draw(paddings),
        "dilations": draw(small(1, 4, axes)),
    }
    if min(oracle.positions(image[1:-1], kernel, **window)) < 1:
        window["padding"] = "SAME"  # the window did not fit
    return image, kernel, window


def gradients(op, *inputs, seed=9):
    """The output of an op in float64, its gradients, and the dy they belong to."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        y = op(*inputs)
    dy = random(*y.shape, seed=seed, dtype=y.dtype.as_numpy_dtype)
    return y, tape.gradient(y, inputs, dy), dy


def check_adjoint(y, dy, inputs, by_inputs):
    """sum(y*dy) == sum(x*dx) for each input that the output is linear in."""
    total = tf.reduce_sum(y * dy)
    for x, dx in zip(inputs, by_inputs, strict=True):
        assert abs(tf.reduce_sum(x * dx) - total) <= ADJOINT * tf.norm(y) * tf.norm(dy)
