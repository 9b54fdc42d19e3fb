"""What every op must do alike: graphs, XLA, dtypes, derivatives of any order, determinism."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import oracle
import pytest
import shapes
import tensorflow as tf
from every_op import CALLS
from shapes import FLOAT32, FLOAT64, random

from hw2 import ops

# A result in float16 or bfloat16 is rounded once: half a unit in the last place.
ROUNDING = {"float16": 2**-11, "bfloat16": 2**-8}


def by(algorithm, call):
    """The call by an algorithm that "auto" does not take."""

    def run(*inputs):
        with ops.algorithm(algorithm):
            return call.run(*inputs)

    return call._replace(run=run)


EVERY = CALLS | {
    f"{name} by {algorithm}": by(algorithm, CALLS[name])
    for name in ("conv2d", "conv2d_groups")
    for algorithm in ("im2col", "extract_patches")
}
every_op = pytest.mark.parametrize("call", EVERY.values(), ids=EVERY)


def inputs_of(call, dtype=np.float64):
    return [
        random(*shape, seed=k, dtype=dtype) for k, shape in enumerate([call.image, *call.weights])
    ]


def unknown_sizes(call):
    """Nothing known of the images but their channels."""
    image = [None] * (len(call.image) - 1) + [call.image[-1]]
    return [tf.TensorSpec(shape, tf.float64) for shape in (image, *call.weights)]


def compiled():
    """Every op in a graph, and some of them by XLA, which takes seconds; the others with `slow`."""
    some = ("conv2d", "conv2d_groups", "depthwise_conv2d", "max_pool2d", "unfold", "fold")
    for name, call in EVERY.items():
        yield pytest.param(call, False, id=f"graph-{name}")
        marks = () if name in some else pytest.mark.slow
        yield pytest.param(call, True, id=f"xla-{name}", marks=marks)


@pytest.mark.parametrize(("call", "jit_compile"), list(compiled()))
def test_graphs_with_unknown_sizes(call, jit_compile):
    def run(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = call.run(*inputs)
        return y, *tape.gradient(y, inputs, y**2)

    graph = tf.function(run, input_signature=unknown_sizes(call), jit_compile=jit_compile)
    inputs = inputs_of(call)
    for a, b in zip(graph(*inputs), run(*inputs), strict=True):
        assert oracle.error(a, b) < FLOAT64


@every_op
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.fault(69)
def test_dtypes(call, dtype):
    """Output and gradients keep the dtype, and are as near to float64 as it allows."""
    rounded = 3 if call is CALLS["conv3d"] and dtype == "bfloat16" else 1
    bound = FLOAT32 + rounded * ROUNDING.get(dtype, 0)
    inputs = inputs_of(call, tf.as_dtype(dtype).as_numpy_dtype)
    y, by_inputs, dy = shapes.gradients(call.run, *inputs)
    exact = [tf.cast(x, tf.float64) for x in inputs]
    with tf.GradientTape() as tape:
        tape.watch(exact)
        expected = call.run(*exact)
    gradients = tape.gradient(expected, exact, tf.cast(dy, tf.float64))
    for a, b in zip([y, *by_inputs], [expected, *gradients], strict=True):
        assert a.dtype == dtype
        assert oracle.error(a, b) < bound


@every_op
def test_second_derivatives(call):
    """Against central differences of the gradient, along a random direction."""
    step = 1e-4  # in float64: truncation near step^2, rounding near 1e-16 / step
    inputs = inputs_of(call)
    direction = [random(*x.shape, seed=7 + k) for k, x in enumerate(inputs)]

    def gradient(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            z = tf.reduce_sum(call.run(*inputs) ** 3)
        return tape.gradient(z, inputs)

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        slope = tf.add_n(
            [tf.reduce_sum(g * v) for g, v in zip(gradient(*inputs), direction, strict=True)]
        )
    second = tape.gradient(slope, inputs)
    ahead, behind = (
        gradient(*(x + sign * step * v for x, v in zip(inputs, direction, strict=True)))
        for sign in (1, -1)
    )
    for a, b, c in zip(second, ahead, behind, strict=True):
        assert oracle.error(a, (b - c) / (2 * step)) < 1e-6


@every_op
@pytest.mark.fault(69)
def test_jacobian(call):
    inputs = inputs_of(call)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        y = call.run(*inputs)
    dy = random(*y.shape, seed=5)
    expected = tape.gradient(y, inputs, dy)
    for jacobian, dx in zip(tape.jacobian(y, inputs), expected, strict=True):
        assert oracle.error(tf.tensordot(dy, jacobian, y.shape.rank), dx) < FLOAT64


@every_op
def test_an_empty_batch(call):
    images, *weights = inputs_of(call)
    y, (dx, *by_weights), _ = shapes.gradients(call.run, images[:0], *weights)
    assert y.shape == [0, *call.run(images, *weights).shape[1:]]
    assert dx.shape == [0, *call.image[1:]]
    assert all(dw.shape == w.shape for dw, w in zip(by_weights, weights, strict=True))
    assert not any(np.any(dw) for dw in by_weights)


def test_nothing_forbids_or_breaks_determinism():
    """In a process of its own, because op determinism cannot be switched off again."""
    code = """
import sys
import tensorflow as tf
tf.config.experimental.enable_op_determinism()
from every_op import CALLS
from test_every_op import inputs_of
for name, call in CALLS.items():
    inputs = inputs_of(call)
    results = []
    for _ in range(2):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = call.run(*inputs)
        results.append([y, *tape.gradient(y, inputs, y)])
    for a, b in zip(*results):
        if (a.numpy() != b.numpy()).any():
            sys.exit(name)
"""
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests/ops'}"},
    )
