"""Transposed convolution: the adjoint of `conv2d`, as an op of its own."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import tensorflow as tf

from hw2.ops import conv, geometry, groups, tensors
from hw2.ops.direct import conv as direct
from hw2.ops.geometry import Padding, Pair, Size, Window
from hw2.ops.patches import fold
from hw2.ops.tensors import length, widen


def conv2d_transpose(
    x: tf.Tensor,
    w: tf.Tensor,
    output_shape: Sequence[Size] | tf.Tensor,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
) -> tf.Tensor:
    """Spreads each pixel over a window and adds up; in place of `tf.nn.conv2d_transpose`.

    It is the gradient of a `conv2d` from images of `output_shape` to images of the shape of `x`,
    with the same filters and options.

    Args:
      x: `[N, H', W', C]` images; any of N, H', W' may be unknown.
      w: `[kH, kW, O, C]` filters, laid out as for that `conv2d`.
      output_shape: `[N, H, W, groups*O]` in the order of `data_format`, or (H, W); ints or scalar
        tensors, or one tensor. Groups of the C channels are convolved apart if it asks for more
        than O channels.
      strides: An int, a pair or `[1, sH, sW, 1]`: how far apart the windows of neighbouring
        pixels are.
      padding: "SAME", "VALID", or pixels cut off ((top, bottom), (left, right)).
      dilations: Distances of neighbouring taps, in the forms of `strides`.
      data_format: "NHWC" or "NCHW".

    Returns:
      `[N, H, W, groups*O]`. float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      ValueError: Ranks, channels, dtypes or options do not fit together, or no image of
        `output_shape` has H'xW' windows.

    Cost: N*H'*W'*kH*kW*C*O multiply-adds, by the compiled kernel where there is one, else in one
    product and one `fold` of its result.

    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016,
    arxiv.org/abs/1603.07285.
    """
    x = tensors.images(x, data_format)
    w = tensors.weights(w, "kH, kW, O, C", x)
    window = geometry.window(w.shape[:2], strides, padding, dilations, data_format=data_format)
    kh, kw, o, c = w.shape
    tensors.check_channels(x, c)
    sizes, channels = output_size(output_shape, data_format)
    number = number_of_groups(c, o, channels)
    check_positions(x, window, sizes)
    if conv.kernel_pays(x):
        y = direct.conv2d_transpose(x, w, (sizes[0], sizes[1]), window, number)
        return tensors.restore(y, data_format)
    parts = groups.to_batch(widen(x), number)  # [groups*N, H', W', C/groups]
    pixels, filters = groups.pixel_matrix(parts, number), groups.filter_matrix(widen(w), number)
    patches = tf.matmul(pixels, filters, transpose_b=True)
    n, rows, columns = (length(parts, axis) for axis in range(3))
    patches = tf.reshape(patches, [n, rows, columns, kh * kw * o])
    y = groups.from_batch(fold(patches, sizes, *window), number)
    return tensors.restore(tf.cast(y, x.dtype), data_format)


def output_size(shape, data_format: str) -> tuple[list[Size], int | None]:
    """Returns the size of each axis, and the number of channels or None.

    Args:
      shape: `output_shape` of a transposed convolution, in any of its forms.
      data_format: The order of its sizes.

    Raises:
      ValueError: It has another number of sizes.
    """
    axes = [axis for axis in data_format if axis not in "NC"]
    if tf.is_tensor(shape) and shape.shape.rank:
        known = tf.get_static_value(shape, partial=True)
        sizes = tf.unstack(shape)
        if known is not None:
            sizes = [t if k is None else int(k) for k, t in zip(known, sizes, strict=True)]
    else:
        alone = tf.is_tensor(shape) or isinstance(shape, Integral)
        sizes = [s if tf.is_tensor(s) else int(s) for s in ([shape] if alone else shape)]
    if len(sizes) == len(data_format):
        named = dict(zip(data_format, sizes, strict=True))
        return [named[axis] for axis in axes], named["C"]
    if len(sizes) != len(axes):
        raise ValueError(
            f"output_shape must have {len(data_format)} sizes, or be ({', '.join(axes)}), "
            f"got {shape!r}."
        )
    return sizes, None


def check_positions(x: tf.Tensor, window: Window, sizes: Sequence[Size]) -> None:
    """Raises a `ValueError` where images of these sizes have other windows than `x` has pixels."""
    for axis, of_x in zip(window.axes(*sizes), x.shape[1:-1], strict=True):
        if isinstance(axis.out, int) and of_x not in (None, axis.out):
            raise ValueError(
                f"output_shape must give the window the {of_x} positions that x has, got "
                f"{axis.out} positions over {axis.size} pixels."
            )


def number_of_groups(c: int, o: int, channels: Size | None) -> int:
    """Into how many groups C channels are divided that become `channels`, O from each."""
    if channels is None:
        return 1
    if tf.is_tensor(channels):
        raise ValueError("output_shape must have a known number of channels, got a tensor.")
    number = channels // o if o else 1
    if number < 1 or channels != number * o or c % number:
        raise ValueError(
            f"output_shape must ask for the {o} channels of w, or for a multiple of them that "
            f"divides {c} channels evenly into groups, got {channels}."
        )
    return number
