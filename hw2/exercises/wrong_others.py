"""Winograd, batch norm and the kernel's inner loop with mistakes in them, as hw2/exercises/wrong.py
has them for the windows.
"""

from __future__ import annotations

import numpy as np

from hw2.exercises import wrong
from hw2.exercises.wrong import Names

G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
B = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]], float).T
A = np.array([[1, 1, 1, 0], [0, 1, -1, -1]], float).T
ROWS, COLUMNS = 6, 16  # of the tile of the inner loop


def transform_filters(w, *, mistakes: Names = frozenset()):
    """Exercise 6: G w G'."""
    return _both_sides(G, w, mistakes)


def transform_tile(tile, *, mistakes: Names = frozenset()):
    """Exercise 6: B' d B."""
    return _both_sides(B if "not_transposed" in mistakes else B.T, tile, mistakes)


def transform_products(products, *, mistakes: Names = frozenset()):
    """Exercise 6: A' m A."""
    return _both_sides(A.T, products, mistakes)


def winograd(x, w, *, mistakes: Names = frozenset()):
    """Exercise 6: the whole."""
    y = wrong.strided(x, w, (1, 1), "VALID", (1, 1), mistakes=mistakes)
    if "odd_rest" in mistakes:
        y[:, y.shape[1] // 2 * 2 :] = 0
        y[:, :, y.shape[2] // 2 * 2 :] = 0
    if "odd_rest_cut" in mistakes:
        y = y[:, : y.shape[1] // 2 * 2, : y.shape[2] // 2 * 2]
    if "tile_transposed" in mistakes:
        n, high, wide, o = y.shape
        even = np.zeros((n, high + high % 2, wide + wide % 2, o))
        even[:, :high, :wide] = y
        tiles = even.reshape(n, even.shape[1] // 2, 2, even.shape[2] // 2, 2, o)
        y = tiles.swapaxes(2, 4).reshape(even.shape)[:, :high, :wide]
    return y


def batch_norm(x, gamma, beta, epsilon, *, mistakes: Names = frozenset()):
    """Exercise 7, the result."""
    axes = _axes(x, mistakes)
    mean = x.mean(axes, keepdims=True)
    if "mean_missing" in mistakes:
        mean = np.zeros_like(mean)
    variance = x.var(axes, keepdims=True, ddof="unbiased" in mistakes)
    if "epsilon_missing" in mistakes:
        epsilon = 0.0
    scale = np.sqrt(variance + epsilon)
    if "epsilon_outside" in mistakes:
        scale = np.sqrt(variance) + epsilon
    if "root_missing" in mistakes:
        scale = variance + epsilon
    normal = (x - mean) / scale
    if "gamma_beta_swapped" in mistakes:
        return normal * beta + gamma
    y = normal * (1 if "gamma_missing" in mistakes else gamma)
    return y + (0 if "beta_missing" in mistakes else beta)


def batch_norm_gradients(dy, x, gamma, epsilon, *, mistakes: Names = frozenset()):
    """Exercise 7, the gradients by x, gamma and beta."""
    axes = (0, 1, 2)
    scale = np.sqrt(x.var(axes) + (0.0 if "epsilon_missing" in mistakes else epsilon))
    normal = (x - x.mean(axes)) / scale
    together = dy.sum if "sums_for_means" in mistakes else dy.mean
    mean, along = together(axes), dy * normal
    along = along.sum(axes) if "sums_for_means" in mistakes else along.mean(axes)
    if {"constant_statistics", "constant_mean"} & mistakes:
        mean = 0
    if {"constant_statistics", "constant_variance"} & mistakes:
        along = 0
    dx = (dy - mean - normal * along) / scale * (1 if "gamma_missing" in mistakes else gamma)
    reduced = np.mean if "averaged_positions" in mistakes else np.sum
    dgamma = reduced(dy * (x if "not_normalized" in mistakes else normal), axes)
    dbeta = reduced(dy, axes)
    if "gamma_beta_swapped" in mistakes:
        dgamma, dbeta = dbeta, dgamma
    return [dx, dgamma, dbeta]


def inner_loop(patches, filters, result, *, mistakes: Names = frozenset()):
    """Exercise 8: `patches` `[6, taps]` times `filters` `[taps, 16]`, added to `result` `[6, 16]`.

    The tables are those that the function is given with gaps between their rows.
    """
    a, b = patches, filters
    if "last_tap" in mistakes:
        a, b = a[:, :-1], b[:-1]
    if "filters_reshaped" in mistakes:
        b = filters.reshape(COLUMNS, -1).T
    product = a @ b
    if "half_the_columns" in mistakes:
        product[:, COLUMNS // 2 :] = 0
    if "last_row" in mistakes:
        product[-1] = 0
    if "negated" in mistakes:
        product = -product
    return product if "overwritten" in mistakes else result + product


def _both_sides(matrix: np.ndarray, x: np.ndarray, mistakes: Names) -> np.ndarray:
    """matrix x matrix', for each channel."""
    y = np.einsum("ia,ab...->ib...", matrix, x)
    if "one_side" in mistakes:
        return y
    y = np.einsum("jb,ib...->ij...", matrix, y)
    return y.swapaxes(0, 1) if "sides_swapped" in mistakes else y


def _axes(x: np.ndarray, mistakes: Names) -> tuple[int, ...]:
    if "images_only" in mistakes:
        return (0,)
    if "positions_only" in mistakes:
        return (1, 2)
    if "all_axes" in mistakes:
        return (0, 1, 2, 3)
    return (1, 2, 3) if "each_image" in mistakes else (0, 1, 2)
