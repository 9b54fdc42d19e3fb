"""Winograd convolution by 3x3 windows: fewer products, in another basis.

Along one axis, m outputs of a filter of 3 taps take m + 2 products instead of 3 m: image and
filter are moved to another basis, multiplied there point by point, and the products moved back.
The moves are linear. Here each is laid out as one matrix for the whole axis, with its tiles,
their overlap, padding and cropping inside, so that every move is one dense matrix product:

    V = in_columns, then in_rows, of x        [points, tiles, C]
    U = G w G^T                               [points, C, O]
    y = out_rows, then out_columns, of V @ U  [N, H', W', O]

That is some thirty times the arithmetic of the sparse moves and still a few percent of the
whole, and it runs at the speed of a matrix product where slices and copies do not. The gradient
of a matrix product is one again: those by x and w are the same moves transposed, to any order.

Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
arxiv.org/abs/1509.09308.
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hw2.ops.geometry import Axis, Window
from hw2.ops.tensors import UNFINISHED, Finish, length

TAPS = 3

# Finite points where the polynomials are multiplied, m + 1 of them; infinity is the last.
# The least error of all sets of such small fractions, see docs/performance.md.
POINTS = {
    2: (0, 1, -1),
    3: (0, -1, 2, Fraction(1, 2)),
    4: (0, 1, -1, 2, Fraction(-1, 2)),
    5: (0, 1, -1, -2, Fraction(-1, 2), Fraction(3, 4)),
}


def conv2d(
    x: tf.Tensor,
    w: tf.Tensor,
    window: Window,
    finish: Finish = UNFINISHED,
    *,
    tile: int | None = None,
) -> tf.Tensor:
    """Convolves by F(tile x tile, 3 x 3).

    Args:
      x: float32 `[N, H, W, C]`; N may be unknown, H and W may not.
      w: `[3, 3, C, O]`.
      window: 3x3, strides and dilations 1, any padding.
      finish: What follows.
      tile: Outputs of a tile along each axis, 2 to 5; None takes the one of least arithmetic.

    Returns:
      `[N, H', W', O]`.

    Raises:
      ValueError: Winograd cannot do it.

    Cost: for tile 4, a quarter of the products of `im2col`; `V` takes 2.25 times the memory of
    `x` and is kept for the gradient, `V @ U` as much for `y`. The largest relative error grows
    with the tile, about 1e-6, 3e-6, 4e-6 and 8e-6 for 2 to 5, where `tf.nn.conv2d` has 1e-6.
    """
    if reason := refusal(x, w, window):
        raise ValueError(f"winograd must have {reason}.")
    rows, columns = window.axes(x.shape[1], x.shape[2])
    c, o = w.shape[2:]
    tile = tile or best_tile(rows, columns, c, o)
    down, across = moves(rows, tile), moves(columns, tile)
    n, points = length(x, 0), tile + TAPS - 1

    v = tf.matmul(across.inward, tf.reshape(x, [n * rows.size, columns.size, c]))
    v = tf.reshape(v, [n, rows.size, points, across.tiles * c])
    v = tf.transpose(v, [2, 1, 0, 3])  # [points, H, N, tiles*C]
    v = tf.matmul(down.inward, tf.reshape(v, [points, rows.size, n * across.tiles * c]))
    v = tf.reshape(v, [points**2, down.tiles * n * across.tiles, c])

    u = tf.reshape(tf.transpose(w, [1, 0, 2, 3]), [TAPS**2, c * o])  # columns first, as v
    u = tf.reshape(tf.matmul(filter_moves(tile), u), [points**2, c, o])

    y = tf.matmul(v, u)  # [points**2, tiles*N*tiles, O]
    if _fits(rows, columns, tile):
        y = tf.matmul(tile_moves(tile), tf.reshape(y, [points**2, -1]))
        y = tf.reshape(y, [tile, tile, down.tiles, n, across.tiles, o])  # columns first, as v
        y = tf.transpose(y, [3, 2, 1, 4, 0, 5])  # [N, tiles, tile, tiles, tile, O]
        return finish(tf.reshape(y, [n, rows.out, columns.out, o]))
    y = tf.reshape(y, [points, points * down.tiles, n * across.tiles * o])
    y = tf.reshape(tf.matmul(down.outward, y), [points, rows.out, n, across.tiles * o])
    y = tf.transpose(y, [2, 1, 0, 3])  # [N, H', points, tiles*O]
    y = tf.reshape(y, [n * rows.out, points * across.tiles, o])
    return finish(tf.reshape(tf.matmul(across.outward, y), [n, rows.out, columns.out, o]))


def refusal(x: tf.Tensor, w: tf.Tensor, window: Window) -> str | None:
    """What Winograd would need and does not get; None where it can do it."""
    if x.dtype != tf.float32:
        return f"float32, got {x.dtype.name}"
    if window.kernel != (TAPS, TAPS) or window.strides != (1, 1) or window.dilations != (1, 1):
        return f"a 3x3 window of stride and dilation 1, got {window}"
    if x.shape[3] != w.shape[2]:
        return f"one group of channels, got {x.shape[3]} channels for filters of {w.shape[2]}"
    if None in x.shape[1:3]:
        return f"images of known height and width, got shape {x.shape}"
    if 0 in x.shape[1:] or 0 in w.shape:
        return f"no empty axis, got shapes {x.shape} and {w.shape}"
    return None


def best_tile(rows: Axis, columns: Axis, c: int, o: int) -> int:
    """The tile that takes the least arithmetic; what is lost is tiles that overhang the image."""
    return min(POINTS, key=lambda tile: _multiply_adds(rows, columns, c, o, tile))


def least_multiply_adds(rows: Axis, columns: Axis, c: int, o: int) -> int:
    """Of one image with the best tile, the moves by dense matrices included."""
    return _multiply_adds(rows, columns, c, o, best_tile(rows, columns, c, o))


def _multiply_adds(rows: Axis, columns: Axis, c: int, o: int, tile: int) -> int:
    points = tile + TAPS - 1
    down, across = (points * math.ceil(a.out / tile) for a in (rows, columns))
    inward = across * rows.size * c * columns.size + across * down * c * rows.size
    if _fits(rows, columns, tile):
        outward = across * down * o * tile**2
    else:
        outward = across * rows.out * o * down + rows.out * columns.out * o * across
    return inward + down * across * c * o + outward


def _fits(rows: Axis, columns: Axis, tile: int) -> bool:
    """Whether no tile overhangs the image, so that results move back tile by tile, uncropped."""
    return rows.out % tile == columns.out % tile == 0


class Moves(NamedTuple):
    """The moves along one axis, each point of all tiles side by side."""

    inward: np.ndarray  # [points * tiles, pixels in]
    outward: np.ndarray  # [pixels out, points * tiles]
    tiles: int


@functools.cache
def moves(axis: Axis, tile: int) -> Moves:
    """Lays the moves of one tile along an axis."""
    outward, _, inward = cook_toom(tile)
    points = tile + TAPS - 1
    tiles = math.ceil(axis.out / tile)
    to_basis = np.zeros([points, tiles, axis.size], np.float32)
    back = np.zeros([axis.out, points, tiles], np.float32)
    for index in range(tiles):
        for tap in range(points):
            pixel = index * tile + tap - axis.before
            if 0 <= pixel < axis.size:
                to_basis[:, index, pixel] = inward[:, tap]
        for i in range(min(tile, axis.out - index * tile)):
            back[index * tile + i, :, index] = outward[i]
    return Moves(
        to_basis.reshape(points * tiles, axis.size), back.reshape(axis.out, points * tiles), tiles
    )


@functools.cache
def filter_moves(tile: int) -> np.ndarray:
    """The move of a 3x3 filter, float32 `[points**2, 9]`."""
    _, filters, _ = cook_toom(tile)
    return np.kron(filters, filters).astype(np.float32)


@functools.cache
def tile_moves(tile: int) -> np.ndarray:
    """The move of a tile's products back to pixels, float32 `[tile**2, points**2]`."""
    back, _, _ = cook_toom(tile)
    return np.kron(back, back).astype(np.float32)


def cook_toom(tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matrices of F(tile, 3), computed in exact fractions.

    Returns:
      float64 A^T `[tile, points]`, G `[points, 3]` and B^T `[points, points]`, such that
      A^T ((G w) * (B^T x)) are the `tile` outputs of filter w along x.

    Source: Blahut, "Fast Algorithms for Signal Processing", 2010, chapter 5.
    """
    finite = [Fraction(point) for point in POINTS[tile]]
    size = tile + TAPS - 1
    others = [[q for q in finite if q != p] for p in finite]
    scales = [math.prod(p - q for q in rest) for p, rest in zip(finite, others, strict=True)]
    a = [[p**i for p in finite] + [int(i == tile - 1)] for i in range(tile)]
    g = [[p**i / s for i in range(TAPS)] for p, s in zip(finite, scales, strict=True)]
    g.append([int(i == TAPS - 1) for i in range(TAPS)])
    b = [_polynomial(rest, size) for rest in others] + [_polynomial(finite, size)]
    return tuple(np.array(m, np.float64) for m in (a, g, b))


def _polynomial(roots: list[Fraction], size: int) -> list[Fraction]:
    """Coefficients of the monic polynomial with these roots, from the constant up."""
    result = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *result], [*(-root * c for c in result), Fraction(0)]
        result = [high + low for high, low in zip(shifted, scaled, strict=True)]
    return result + [Fraction(0)] * (size - len(result))
