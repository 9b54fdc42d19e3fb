"""Patches of signals, volumes and beyond: `unfold` and `fold` of images, one axis after another.

An image is unfolded along its last two axes first. Each axis before them is then that of the rows
of an image whose pixels are patches; a window over it joins as many of these as it has taps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.geometry import Padding, Pair, Size, Window
from hw2.ops.patches import fold, unfold
from hw2.ops.tensors import length, widen, with_shape


def unfold1d(
    x: tf.Tensor,
    kernel: Pair,
    strides: Pair = 1,
    padding: Padding | Sequence[int] = "SAME",
    dilations: Pair = 1,
) -> tf.Tensor:
    """Lays the patch under every position of a window over signals side by side.

    Args:
      x: `[N, W, C]`; N and W may be unknown.
      kernel: Taps of the window: an int or `[1, kW, 1]`.
      strides: Steps of the window, in the same forms.
      padding: "SAME", "VALID", or zeros (left, right).
      dilations: Distances of neighbouring taps, in the same forms.

    Returns:
      `[N, W', kW*C]`, channels innermost.

    Raises:
      ValueError: An argument has another form, or the window does not fit into the signal.

    Cost: As `unfold`.
    """
    window = geometry.window(kernel, strides, padding, dilations, data_format="NWC")
    return unfold_axes(tensors.signals(x), window)


def unfold3d(
    x: tf.Tensor,
    kernel: Pair,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
) -> tf.Tensor:
    """Lays the patch under every position of a window over volumes side by side.

    Args:
      x: `[N, D, H, W, C]`; any of N, D, H, W may be unknown.
      kernel: Sides of the window: an int, three ints or `[1, kD, kH, kW, 1]`.
      strides: Steps of the window, in the same forms.
      padding: "SAME", "VALID", or zeros, a pair (before, after) for each axis.
      dilations: Distances of neighbouring taps, in the same forms.

    Returns:
      `[N, D', H', W', kD*kH*kW*C]`, taps in the order of the axes, channels innermost.

    Raises:
      ValueError: An argument has another form, or the window does not fit into the volume.

    Cost: kD*kH*kW/(sD*sH*sW) times the memory of `x`, and 1/kD of it once more on the way.
    """
    window = geometry.window(kernel, strides, padding, dilations, data_format="NDHWC")
    return unfold_axes(tensors.volumes(x), window)


def fold1d(
    patches: tf.Tensor,
    size: Size | Sequence[Size],
    kernel: Pair,
    strides: Pair = 1,
    padding: Padding | Sequence[int] = "SAME",
    dilations: Pair = 1,
    reduction: str = "sum",
) -> tf.Tensor:
    """Adds patches back into the signal they came from, the adjoint of `unfold1d`.

    Args:
      patches: `[N, W', kW*C]`, as from `unfold1d`.
      size: Length of the signal; an int or a scalar tensor.
      kernel: As for `unfold1d`, and so are `strides`, `padding` and `dilations`.
      reduction: "sum", or "mean" for the left inverse of `unfold1d`.

    Returns:
      `[N, W, C]`.

    Raises:
      ValueError: An argument has another form, or a signal of this length has other patches.
    """
    window = geometry.window(kernel, strides, padding, dilations, data_format="NWC")
    sizes = [size] if tf.is_tensor(size) or isinstance(size, int) else list(size)
    return fold_axes(patches, sizes, window, reduction)


def fold3d(
    patches: tf.Tensor,
    sizes: Sequence[Size],
    kernel: Pair,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    reduction: str = "sum",
) -> tf.Tensor:
    """Adds patches back into the volume they came from, the adjoint of `unfold3d`.

    Args:
      patches: `[N, D', H', W', kD*kH*kW*C]`, as from `unfold3d`.
      sizes: (D, H, W) of the volume; ints or scalar tensors.
      kernel: As for `unfold3d`, and so are `strides`, `padding` and `dilations`.
      reduction: "sum", or "mean" for the left inverse of `unfold3d`.

    Returns:
      `[N, D, H, W, C]`: each value is the sum (or mean) of all patch values that `unfold3d` reads
      from it, and 0 where it reads none.

    Raises:
      ValueError: An argument has another form, or a volume of these sizes has other patches.

    Cost: each value read once and added once; no scatter, so the order of sums is fixed.
    """
    window = geometry.window(kernel, strides, padding, dilations, data_format="NDHWC")
    return fold_axes(patches, sizes, window, reduction)


def unfold_axes(x: tf.Tensor, window: Window) -> tf.Tensor:
    """Unfolds any number of axes: `[N, ..., C]` to `[N, ..., taps*C]`; its gradient is its fold."""
    sizes = [length(x, axis) for axis in range(1, x.shape.rank - 1)]

    @tf.custom_gradient
    def apply(x):
        return _unfold(x, sizes, window), lambda dy: fold_axes(dy, sizes, window)

    return apply(x)


def fold_axes(
    patches: tf.Tensor, sizes: Sequence[Size], window: Window, reduction: str = "sum"
) -> tf.Tensor:
    """Folds any number of axes: `[N, ..., taps*C]` to `[N, *sizes, C]`, the adjoint."""
    if reduction not in ("sum", "mean"):
        raise ValueError(f'reduction must be "sum" or "mean", got {reduction!r}.')
    patches = tf.convert_to_tensor(patches)
    sizes = list(sizes)
    _check(patches, sizes, window)
    x = _sum(widen(patches), sizes, window)
    if reduction == "mean":
        ones = tf.ones([1, *sizes, 1], x.dtype)
        x = tf.math.divide_no_nan(x, _sum(_unfold(ones, sizes, window), sizes, window))
    return tf.cast(x, patches.dtype)


def _unfold(x: tf.Tensor, sizes: list[Size], window: Window) -> tf.Tensor:
    """Unfolds the last two axes, then those before them, from the last to the first."""
    if len(sizes) == 1:
        return unfold(x[:, None], *window.over_row())[:, 0]
    n, c = length(x, 0), length(x, x.shape.rank - 1)
    out = [axis.out for axis in window.axes(*sizes)]
    inner = len(sizes) - 2
    y = tf.reshape(x, [n * math.prod(sizes[:inner]), *sizes[inner:], c])
    y = unfold(y, *window.along(inner, inner + 2))  # [N*..., H', W', kH*kW*C]
    for k in reversed(range(inner)):
        rows = n * math.prod(sizes[:k])
        y = tf.reshape(y, [rows, sizes[k], math.prod(out[k + 1 :]), y.shape[3]])
        y = unfold(y, *window.along(k, k + 1).over_columns())
    shape = [n, *out, math.prod(window.kernel) * c]
    return with_shape(tf.reshape(y, shape), shape)


def _sum(patches: tf.Tensor, sizes: list[Size], window: Window) -> tf.Tensor:
    """Folds the axes in their order, the reverse of `_unfold`."""
    if len(sizes) == 1:
        return fold(patches[:, None], (1, sizes[0]), *window.over_row())[:, 0]
    n, *out, values = (length(patches, axis) for axis in range(patches.shape.rank))
    inner = len(sizes) - 2
    x = patches
    for k in range(inner):
        rows, columns = n * math.prod(sizes[:k]), math.prod(out[k + 1 :])
        x = tf.reshape(x, [rows, out[k], columns, values])
        x = fold(x, (sizes[k], columns), *window.along(k, k + 1).over_columns())
        values //= window.kernel[k]
    x = tf.reshape(x, [n * math.prod(sizes[:inner]), *out[inner:], values])
    x = fold(x, sizes[inner:], *window.along(inner, inner + 2))
    shape = [n, *sizes, x.shape[3]]
    return with_shape(tf.reshape(x, shape), shape)


def _check(patches: tf.Tensor, sizes: list[Size], window: Window) -> None:
    taps = math.prod(window.kernel)
    if len(sizes) != len(window.kernel):
        raise ValueError(f"sizes must be {len(window.kernel)}, one for each axis, got {sizes}.")
    names = ", ".join(f"{axis}'" for axis in "DHW"[-len(sizes) :])
    if (
        patches.shape.rank != len(sizes) + 2
        or patches.shape[-1] is None
        or patches.shape[-1] % taps
    ):
        raise ValueError(
            f"patches must be [N, {names}, {taps}*C] for a window of {taps} taps, "
            f"got shape {patches.shape}."
        )
    expected = [None if tf.is_tensor(axis.out) else axis.out for axis in window.axes(*sizes)]
    if not patches.shape[1:-1].is_compatible_with(expected):
        raise ValueError(
            f"patches of these sizes must have {'x'.join(map(str, expected))} positions, "
            f"got shape {patches.shape}."
        )
