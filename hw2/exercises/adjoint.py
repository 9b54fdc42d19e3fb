"""The adjoint identity: a linear function and its gradient are one and the same sum of products."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hw2.exercises import wrong, wrong_others
from hw2.exercises.course import Function
from hw2.ops.geometry import Window
from hw2.ops.verify import definition

Sides = tuple[float, float, float]  # both sides of the identity, and the sum without cancellation


def distance(function: Function, results: Sequence[np.ndarray]) -> float | None:
    """How far the identity is from holding, over all cases; None where there is none.

    For a result y = f(x) that is linear in x, and any dy, sum(y*dy) is sum(x*dx), where dx is the
    gradient. The student's result is on the left, and the definition of the gradient on the right;
    for a gradient it is the other way round.
    """
    identity = _IDENTITIES.get(function.truth)
    if identity is None:
        return None
    rng = np.random.default_rng(0)
    worst = 0.0
    for case, y in zip(function.cases, results, strict=True):
        left, right, size = identity(case.arguments, y, rng)
        worst = max(worst, abs(left - right) / (size or 1.0))
    return worst


def _sides(y: np.ndarray, dy: np.ndarray, x: np.ndarray, dx: np.ndarray) -> Sides:
    return float(np.sum(y * dy)), float(np.sum(x * dx)), float(np.sum(np.abs(x) * np.abs(dx)))


def _unfold(arguments: tuple, y: np.ndarray, rng: np.random.Generator) -> Sides:
    x, kernel = arguments
    dy = rng.uniform(-1, 1, y.shape)
    return _sides(y, dy, x, wrong.fold(dy, x.shape[1:3], kernel))


def _fold(arguments: tuple, y: np.ndarray, rng: np.random.Generator) -> Sides:
    patches, _, kernel = arguments
    dy = rng.uniform(-1, 1, y.shape)
    return _sides(y, dy, patches, wrong.unfold(dy, kernel))


def _conv2d(arguments: tuple, y: np.ndarray, rng: np.random.Generator) -> Sides:
    x, w, bias, padding = arguments
    return _strided((x, w, (1, 1), padding, (1, 1)), y - bias, rng)


def _strided(arguments: tuple, y: np.ndarray, rng: np.random.Generator) -> Sides:
    x, w, strides, padding, dilations = arguments
    dy = rng.uniform(-1, 1, y.shape)
    window = Window(w.shape[:2], strides, padding, dilations)
    _, (dx, _) = definition.conv(x, w, window=window, dy=dy)
    return _sides(y, dy, x, dx)


def _winograd(arguments: tuple, y: np.ndarray, rng: np.random.Generator) -> Sides:
    return _strided((*arguments, (1, 1), "VALID", (1, 1)), y, rng)


def _grad_filters(arguments: tuple, dw: np.ndarray, rng: np.random.Generator) -> Sides:
    x, dy, _, padding = arguments
    w = rng.uniform(-1, 1, dw.shape)
    return _sides(w, dw, wrong.strided(x, w, (1, 1), padding, (1, 1)), dy)


def _grad_images(arguments: tuple, dx: np.ndarray, rng: np.random.Generator) -> Sides:
    dy, w, _, padding = arguments
    x = rng.uniform(-1, 1, dx.shape)
    return _sides(x, dx, wrong.strided(x, w, (1, 1), padding, (1, 1)), dy)


_IDENTITIES: dict[object, Callable[[tuple, np.ndarray, np.random.Generator], Sides]] = {
    wrong.unfold: _unfold,
    wrong.fold: _fold,
    wrong.conv2d: _conv2d,
    wrong.strided: _strided,
    wrong.grad_filters: _grad_filters,
    wrong.grad_images: _grad_images,
    wrong_others.winograd: _winograd,
}
