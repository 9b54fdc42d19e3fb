"""What holds between an op, its gradients and theirs, whatever their values."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.ops.verify.case import Case
from hw2.ops.verify.counterparts import Op
from hw2.ops.verify.errors import error

STEP = 1e-4  # of differences, in float64


def adjoint(
    op: Op, found: list[np.ndarray], inputs: list[np.ndarray], dy: np.ndarray, sizes: list
) -> float:
    """Largest distance of sum(x*dx) from sum(y*dy), over the sum without cancellation.

    Args:
      op: The op, linear in what `op.linear` says.
      found: Its output and gradients, in float64.
      inputs: Its inputs.
      dy: The gradient by its output.
      sizes: What output and gradients reach without cancellation.
    """
    y, *gradients = found
    finite = np.isfinite(y)  # all but windows of max_pool2d that hold no pixel
    expected = np.sum(np.where(finite, y, 0) * dy)
    size = np.sum(np.where(finite, sizes[0], 0) * abs(dy)) or 1.0
    products = [np.sum(x * dx) for x, dx in zip(inputs, gradients, strict=True)]
    sums = [sum(products[k] for k in group) for group in op.linear if group[0] < len(products)]
    return max(float(abs(product - expected) / size) for product in sums)


def second(
    op: Op,
    case: Case,
    inputs: list[np.ndarray],
    dy: np.ndarray,
    sizes: list[np.ndarray],
    rng: np.random.Generator,
) -> float | None:
    """Largest error of the gradients of the gradients, along a random direction.

    By the definition they are how output and gradients change along it: a central difference.

    Args:
      op: The op.
      case: The case.
      inputs: Its inputs, in float64.
      dy: The gradient by its output.
      sizes: What output and gradients reach without cancellation.
      rng: Random generator of the direction.

    Returns:
      The error over the largest value; None for an op that has no second derivatives everywhere.
    """
    if not op.smooth:
        return None
    direction = [rng.uniform(-1, 1, x.shape) for x in inputs]
    variables = [tf.constant(v) for v in [*inputs, dy]]
    with tf.GradientTape() as outer:
        outer.watch(variables)
        with tf.GradientTape() as inner:
            inner.watch(variables[:-1])
            y = op.ours(case, *variables[:-1])
        gradients = inner.gradient(y, variables[:-1], variables[-1])
        slope = tf.add_n([tf.reduce_sum(g * v) for g, v in zip(gradients, direction, strict=True)])
    *found, of_y = outer.gradient(slope, variables, unconnected_gradients="zero")
    sides = []
    for step in (STEP, -STEP):
        moved = [x + step * v for x, v in zip(inputs, direction, strict=True)]
        y, gradients = op.truth(*moved, window=case.window, dy=dy)
        sides.append([y, *gradients])
    errors = []
    for a, ahead, behind, size in zip([of_y, *found], *sides, sizes, strict=True):
        expected = (ahead - behind) / (2 * STEP)
        errors.append(error(a.numpy(), expected, np.maximum(abs(expected), size)))
    return max(errors)
