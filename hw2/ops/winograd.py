"""Winograd convolution by 3x3 windows: fewer products, between transforms of image and filter.

Along one axis, m outputs of a filter of 3 taps take m + 2 products instead of 3 m. The *input
transform* and the *filter transform* evaluate an image tile and a filter at m + 2 points, the two
are multiplied point by point, and the *output transform* turns the products into pixels.

All three transforms are linear. Here the input transform is laid out as one matrix for a whole
axis of the image, with its tiles, their overlap and the padding inside, so that it is one dense
matrix product:

    V = input transform of the columns, then of the rows, of x    [points**2, tiles, C]
    U = G w G^T, the filter transform                             [points**2, C, O]
    y = output transform of V @ U                                 [N, H', W', O]

Such a matrix takes some thirty times the arithmetic of transforming tile by tile, which is still
a few percent of the whole, and it runs at the speed of a matrix product, where slices and copies
do not. The gradient of a matrix product is again a matrix product, so the gradients by x and w
are the same transforms transposed, to any order.

A result is a difference of large products, so its error is one part of the largest pixel of its
tile, and not of its own window alone: no more than `BOUNDS[tile]` times that pixel times the sum of
the filter's absolute values. What is larger than `LARGEST`, infinite or NaN would spread over the
tile, here over its whole picture, since its zeros are multiplied too.

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

from hw2.ops import im2col
from hw2.ops.geometry import Axis, Window
from hw2.ops.tensors import UNFINISHED, Finish, in_xla, length

TAPS = 3

# Interpolation points by tile size m: m + 1 finite ones; infinity is always the last.
# Of all sets of such small fractions these have the least error, see docs/performance.md.
POINTS = {
    2: (0, 1, -1),
    3: (0, -1, 2, Fraction(1, 2)),
    4: (0, 1, -1, 2, Fraction(-1, 2)),
    5: (0, 1, -1, -2, Fraction(-1, 2), Fraction(3, 4)),
}
# Errors by tile size, see above; twice the largest seen, at pixels of up to 1e30 among normal ones.
BOUNDS = {2: 5e-8, 3: 2e-7, 4: 4e-7, 5: 8e-7}
LARGEST = 1e30  # pixel of a batch; the transforms enlarge it a hundredfold


def conv2d(
    x: tf.Tensor,
    w: tf.Tensor,
    window: Window,
    finish: Finish = UNFINISHED,
    *,
    tile: int | None = None,
) -> tf.Tensor:
    """Convolves images with 3x3 filters by the algorithm F(tile x tile, 3 x 3).

    A batch with a value that is not finite, or beyond `LARGEST`, is convolved by patches, so that
    such a value reaches the results of its own windows alone; not so in graphs that XLA compiles.

    Args:
      x: float32 `[N, H, W, C]`; N may be unknown, H and W may not.
      w: `[3, 3, C, O]`.
      window: 3x3, strides and dilations 1, any padding.
      finish: Applied to the result, over its last axis.
      tile: Outputs of a tile along each axis, 2 to 5; None chooses the one with the least
        arithmetic.

    Returns:
      `[N, H', W', O]`.

    Raises:
      ValueError: The dtype, window, channels or sizes are others than above.

    Cost: for tile 4, a quarter of the products of `im2col`; `V` takes 2.25 times the memory of
    `x` and is kept for the gradient, `V @ U` as much for `y`. The largest relative error grows
    with the tile, about 1e-6, 3e-6, 4e-6 and 8e-6 for 2 to 5, where `tf.nn.conv2d` has 1e-6.
    """
    if reason := refusal(x, w, window):
        raise ValueError(f"winograd must have {reason}.")
    rows, columns = window.axes(x.shape[1], x.shape[2])
    tile = tile or best_tile(rows, columns, *w.shape[2:])
    if in_xla():  # which would compile both, for seconds
        return _by_tiles(x, w, rows, columns, finish, tile)
    return tf.cond(
        tf.reduce_all(tf.abs(x) <= LARGEST),  # false for NaN
        lambda: _by_tiles(x, w, rows, columns, finish, tile),
        lambda: im2col.conv2d(x, w, window, finish),
    )


def _by_tiles(
    x: tf.Tensor, w: tf.Tensor, rows: Axis, columns: Axis, finish: Finish, tile: int
) -> tf.Tensor:
    """Transforms, multiplies and transforms back."""
    c, o = w.shape[2:]
    down, across = axis_transforms(rows, tile), axis_transforms(columns, tile)
    n, points = length(x, 0), tile + TAPS - 1

    v = tf.matmul(across.input_transform, tf.reshape(x, [n * rows.size, columns.size, c]))
    v = tf.reshape(v, [n, rows.size, points, across.tiles * c])
    v = tf.transpose(v, [2, 1, 0, 3])  # [points, H, N, tiles*C]
    v = tf.matmul(down.input_transform, tf.reshape(v, [points, rows.size, n * across.tiles * c]))
    v = tf.reshape(v, [points**2, down.tiles * n * across.tiles, c])

    u = tf.reshape(tf.transpose(w, [1, 0, 2, 3]), [TAPS**2, c * o])  # columns first, like v
    u = tf.reshape(tf.matmul(filter_transform(tile), u), [points**2, c, o])

    y = tf.matmul(v, u)  # [points**2, tiles*N*tiles, O]
    if _fits(rows, columns, tile):
        y = tf.matmul(tile_output_transform(tile), tf.reshape(y, [points**2, -1]))
        y = tf.reshape(y, [tile, tile, down.tiles, n, across.tiles, o])  # columns first, like v
        y = tf.transpose(y, [3, 2, 1, 4, 0, 5])  # [N, tiles, tile, tiles, tile, O]
        return finish(tf.reshape(y, [n, rows.out, columns.out, o]))
    y = tf.reshape(y, [points, points * down.tiles, n * across.tiles * o])
    y = tf.reshape(tf.matmul(down.output_transform, y), [points, rows.out, n, across.tiles * o])
    y = tf.transpose(y, [2, 1, 0, 3])  # [N, H', points, tiles*O]
    y = tf.reshape(y, [n * rows.out, points * across.tiles, o])
    return finish(tf.reshape(tf.matmul(across.output_transform, y), [n, rows.out, columns.out, o]))


def refusal(x: tf.Tensor, w: tf.Tensor, window: Window) -> str | None:
    """Says what Winograd needs and these arguments lack; None where it can convolve them."""
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
    """Chooses the tile with the least arithmetic: large tiles save more, but overhang the image."""
    return min(POINTS, key=lambda tile: _multiply_adds(rows, columns, c, o, tile))


def least_multiply_adds(rows: Axis, columns: Axis, c: int, o: int) -> int:
    """Counts multiply-adds for one image with the best tile, its dense transforms included."""
    return _multiply_adds(rows, columns, c, o, best_tile(rows, columns, c, o))


def _multiply_adds(rows: Axis, columns: Axis, c: int, o: int, tile: int) -> int:
    points = tile + TAPS - 1
    down, across = (points * math.ceil(a.out / tile) for a in (rows, columns))
    forward = across * rows.size * c * columns.size + across * down * c * rows.size
    if _fits(rows, columns, tile):
        back = across * down * o * tile**2
    else:
        back = across * rows.out * o * down + rows.out * columns.out * o * across
    return forward + down * across * c * o + back


def _fits(rows: Axis, columns: Axis, tile: int) -> bool:
    """Whether no tile overhangs the image; then outputs are transformed tile by tile, uncropped."""
    return rows.out % tile == columns.out % tile == 0


class AxisTransforms(NamedTuple):
    """Input and output transform of a whole axis; the tiles of one point are side by side."""

    input_transform: np.ndarray  # [points * tiles, pixels in]
    output_transform: np.ndarray  # [pixels out, points * tiles]
    tiles: int


@functools.cache
def axis_transforms(axis: Axis, tile: int) -> AxisTransforms:
    """Repeats the transforms of one tile along an axis, with its overlap, padding and cropping."""
    output_transform, _, input_transform = cook_toom(tile)
    points = tile + TAPS - 1
    tiles = math.ceil(axis.out / tile)
    forward = np.zeros([points, tiles, axis.size], np.float32)
    back = np.zeros([axis.out, points, tiles], np.float32)
    for index in range(tiles):
        for tap in range(points):
            pixel = index * tile + tap - axis.before
            if 0 <= pixel < axis.size:
                forward[:, index, pixel] = input_transform[:, tap]
        for i in range(min(tile, axis.out - index * tile)):
            back[index * tile + i, :, index] = output_transform[i]
    return AxisTransforms(
        forward.reshape(points * tiles, axis.size), back.reshape(axis.out, points * tiles), tiles
    )


@functools.cache
def filter_transform(tile: int) -> np.ndarray:
    """Returns the transform of a flattened 3x3 filter, float32 `[points**2, 9]`."""
    _, g, _ = cook_toom(tile)
    return np.kron(g, g).astype(np.float32)


@functools.cache
def tile_output_transform(tile: int) -> np.ndarray:
    """Returns the transform of one tile's products to pixels, float32 `[tile**2, points**2]`."""
    a, _, _ = cook_toom(tile)
    return np.kron(a, a).astype(np.float32)


def cook_toom(tile: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Makes the three transforms of F(tile, 3) by the Cook-Toom algorithm, in exact fractions.

    Returns:
      float64 output transform A^T `[tile, points]`, filter transform G `[points, 3]` and input
      transform B^T `[points, points]`: A^T ((G w) * (B^T x)) are the `tile` outputs of the
      filter w along x.

    Source: Blahut, "Fast Algorithms for Signal Processing", 2010, chapter 5.
    """
    finite = [Fraction(point) for point in POINTS[tile]]
    size = tile + TAPS - 1
    others = [[q for q in finite if q != p] for p in finite]
    scales = [math.prod(p - q for q in rest) for p, rest in zip(finite, others, strict=True)]
    a = [[p**i for p in finite] + [int(i == tile - 1)] for i in range(tile)]
    g = [[p**i / s for i in range(TAPS)] for p, s in zip(finite, scales, strict=True)]
    g.append([Fraction(int(i == TAPS - 1)) for i in range(TAPS)])
    b = [_polynomial(rest, size) for rest in others] + [_polynomial(finite, size)]
    return np.array(a, np.float64), np.array(g, np.float64), np.array(b, np.float64)


def _polynomial(roots: list[Fraction], size: int) -> list[Fraction]:
    """Returns the coefficients of the monic polynomial with these roots, the constant first."""
    result = [Fraction(1)]
    for root in roots:
        shifted, scaled = [Fraction(0), *result], [*(-root * c for c in result), Fraction(0)]
        result = [high + low for high, low in zip(shifted, scaled, strict=True)]
    return result + [Fraction(0)] * (size - len(result))
