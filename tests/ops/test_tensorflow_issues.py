"""What TensorFlow's users reported of extract_patches, each held against ours.

https://github.com/tensorflow/tensorflow/issues/ and the number.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import oracle
import pytest
import tensorflow as tf
from shapes import FLOAT64, random

from hw2 import ops


def test_issue_7414_gradient_in_float64():
    """The gradient was made for float32 only."""
    x = random(2, 6, 5, 1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.unfold(tf.reshape(x, [-1, 6, 5, 1]), 3, padding="VALID")
        patches = tf.reshape(y, [2, -1, 9])
    dx = tape.gradient(patches, x)
    assert dx.dtype == tf.float64
    ones = np.ones((2, 4, 3, 3, 3, 1))
    assert oracle.error(dx, oracle.fold(ones, (6, 5), (3, 3), padding="VALID")) == 0


def test_issue_11651_gradient_for_unknown_sizes():
    """The reporter's call: known batch and channels, unknown height and width."""

    @tf.function(input_signature=[tf.TensorSpec([5, None, None, 5])])
    def gradient(x):
        return tf.gradients(tf.reduce_sum(ops.unfold(x, 2, padding="VALID")), x)[0]

    for height, width in ((2, 2), (3, 4)):
        dx = gradient(tf.zeros([5, height, width, 5]))
        ones = np.ones((5, height - 1, width - 1, 2, 2, 5))
        assert oracle.error(dx, oracle.fold(ones, (height, width), (2, 2), padding="VALID")) == 0


def test_issue_13017_the_gradient_transposes_and_scatters_nothing():
    """Most of a training step went into a transpose in the gradient; ours moves slices."""

    @tf.function(input_signature=[tf.TensorSpec([8, 50, 50, 32])] * 2)
    def gradient(x, dx):
        return tf.gradients(ops.unfold(x, 3), x, ops.unfold(dx, 3))[0]

    found = operations(gradient.get_concrete_function().graph)
    slow = ("Transpose", "Scatter", "Segment", "Sparse", "While")
    assert not [op for op in found if any(word in op for word in slow)]


@pytest.mark.timeout(100)  # which it took two minutes to build
def test_issue_20146_the_graph_of_the_gradient_is_small():
    """4x1024x1024x1 and 5x5 made indices of 100 million elements while it was traced."""

    @tf.function(input_signature=[tf.TensorSpec([4, 1024, 1024, 1])])
    def gradient(x):
        return tf.gradients(ops.unfold(x, 5), x)[0]

    graph = gradient.get_concrete_function().graph
    assert len(graph.get_operations()) < 300  # some for each of 25 taps
    constants = [op.outputs[0] for op in graph.get_operations() if op.type == "Const"]
    assert max(tensor.shape.num_elements() for tensor in constants) < 100
    dx = gradient(tf.zeros([4, 1024, 1024, 1]))
    assert dx[0, 0, :3, 0].numpy().tolist() == [9, 12, 15]  # windows that hold the first pixels
    assert float(tf.reduce_max(dx)) == 25


def test_issue_59979_jacobian():
    """tape.jacobian failed in the vectorized loop over rows."""
    x = tf.Variable(tf.ones([1, 5, 5, 1]))
    with tf.GradientTape(persistent=True) as tape:
        y = ops.unfold(x, 3, padding="VALID")
    jacobian = tape.jacobian(y, x)
    assert jacobian.shape == [1, 3, 3, 9, 1, 5, 5, 1]
    for i, j, tap in np.ndindex(3, 3, 9):
        expected = np.zeros((5, 5))
        expected[i + tap // 3, j + tap % 3] = 1
        assert np.array_equal(jacobian[0, i, j, tap, 0, ..., 0], expected)


def test_issue_62067_gradient_under_op_determinism():
    """A deterministic SparseTensorDenseMatMul was not to be had; ours needs no such op."""
    code = """
import tensorflow as tf
from hw2 import ops
from test_tensorflow_issues import operations
tf.config.experimental.enable_op_determinism()
@tf.function
def gradient(x):
    return tf.gradients(ops.unfold(x, 3, 2) ** 2, x)[0]
x = tf.random.stateless_normal([4, 33, 31, 3], [1, 2])
first = gradient(x)
assert all(bool(tf.reduce_all(gradient(x) == first)) for _ in range(3))
names = operations(gradient.get_concrete_function(x).graph)
assert not any("Sparse" in name or "Segment" in name or "Scatter" in name for name in names), names
"""
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'tests/ops'}"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)


@pytest.mark.fault(69)
def test_images_past_two_to_the_24_pixels():
    """TensorFlow's gradient numbers the pixels in float32, which counts no further than that."""
    side = 4098  # 4098^2 > 2^24
    x = tf.reshape(tf.range(side * side) % 8191, [1, side, side, 1])
    x = tf.cast(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = ops.unfold(x, (1, 2), (3, 2))
    image = x.numpy()[0, ..., 0]
    assert np.array_equal(y[0], image[::3].reshape(side // 3, side // 2, 2))
    expected = np.zeros_like(image)
    expected[::3] = image[::3]
    assert np.array_equal(tape.gradient(y, x, y)[0, ..., 0], expected)


def test_second_order_gradients_of_patches():
    x = random(1, 4, 4, 1)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            z = tf.reduce_sum(ops.unfold(x, 2) ** 3)
        dx = inner.gradient(z, x)
    counts = oracle.fold(np.ones((1, 4, 4, 2, 2, 1)), (4, 4), (2, 2))
    assert oracle.error(outer.gradient(dx, x), 6 * counts * x) < FLOAT64


def operations(graph):
    """Names of all operations in a graph and in the functions it calls."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    return {node.op for node in nodes}
