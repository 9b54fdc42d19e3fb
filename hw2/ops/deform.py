"""Deformable convolution: each tap of the window reads where an offset says."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.conv import check_channels, conv2d
from hw2.ops.geometry import Axis, Padding, Pair, Size, Window
from hw2.ops.groups import swapped
from hw2.ops.recompute import recomputed
from hw2.ops.tensors import length, widen, with_shape


def deform_conv2d(
    x: tf.Tensor,
    w: tf.Tensor,
    offsets: tf.Tensor,
    mask: tf.Tensor | None = None,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    *,
    data_format: str = "NHWC",
    bias: tf.Tensor | None = None,
    relu: bool = False,
    algorithm: str | None = None,
) -> tf.Tensor:
    """Convolves images with a window whose taps are moved, at every position by other offsets.

    A tap reads between pixels by bilinear interpolation; outside the image all is 0. With offsets
    of 0 and without a mask it is `conv2d`. Values and the order of the offsets are those of
    `torchvision.ops.deform_conv2d` and of ONNX's DeformConv.

    Args:
      x: `[N, H, W, groups*C]` images; any of N, H, W may be unknown.
      w: `[kH, kW, C, O]` filters, in groups as for `conv2d`.
      offsets: `[N, H', W', G*kH*kW*2]`, in pixels: for each of G groups of channels and each tap,
        in row order, how far down and how far to the right it is moved.
      mask: `[N, H', W', G*kH*kW]`, by which what each tap reads is multiplied (version 2), or None.
      strides: An int, a pair or `[1, sH, sW, 1]`.
      padding: "SAME", "VALID", or zeros ((top, bottom), (left, right)).
      dilations: Distances of neighbouring taps before they are moved, in the forms of `strides`.
      data_format: "NHWC" or "NCHW", of `x`, `offsets`, `mask` and the result.
      bias: `[O]`, added to every position, as for `conv2d`, and so are `relu` and `algorithm`.
      relu: Whether negative results become 0.
      algorithm: By which what the taps read is multiplied by the filters; not one for 3x3 windows.

    Returns:
      `[N, H', W', O]`. float16 and bfloat16 are computed in float32 and rounded once. Where a tap
      is at a whole pixel, the gradient by its offset is that towards the next pixel.

    Raises:
      ValueError: Ranks, channels, dtypes or options do not fit together, or the offsets or the
        mask have other positions than the window.

    Cost: N*H'*W'*kH*kW*C*O multiply-adds, and four reads for each tap. What the taps read takes
    kH*kW/(sH*sW) times the memory of `x`, and is read again for the gradient by the offsets.

    Source: Zhu et al., "Deformable ConvNets v2: More Deformable, Better Results", 2019,
    arxiv.org/abs/1811.11168; Dai et al., "Deformable Convolutional Networks", 2017,
    arxiv.org/abs/1703.06211.
    """
    x = tensors.images(x, data_format)
    w = tensors.weights(w, "kH, kW, C, O", x)
    number = check_channels(x, w)
    window = geometry.window(w.shape[:2], strides, padding, dilations, data_format=data_format)
    kh, kw, c, o = w.shape
    rows, columns = window.axes(length(x, 1), length(x, 2))
    offsets = _per_tap(offsets, "offsets", 2, x, window, data_format)
    groups = offsets.shape[3] // (2 * kh * kw)
    inputs = [x, offsets]
    if mask is not None:
        mask = _per_tap(mask, "mask", 1, x, window, data_format)
        if mask.shape[3] != groups * kh * kw:
            raise ValueError(
                f"mask must have a value for each of the {groups * kh * kw} pairs of offsets, got "
                f"{mask.shape[3]}."
            )
        inputs.append(mask)

    def read(x, offsets, *mask):
        n, high, wide = length(x, 0), rows.out, columns.out
        places = tf.reshape(offsets, [n, high * wide, groups, kh * kw, 2])
        down, right = (tf.transpose(v, [0, 1, 3, 2]) for v in tf.unstack(places, axis=4))
        of_rows = tf.repeat(_taps(rows, window, 0, x.dtype), wide, 0)  # [H'*W', kH*kW]
        of_columns = tf.tile(_taps(columns, window, 1, x.dtype), [high, 1])
        values = _bilinear(x, down + of_rows[..., None], right + of_columns[..., None])
        if mask:
            factors = tf.reshape(mask[0], [n, high * wide, groups, kh * kw])
            values *= tf.reshape(tf.transpose(factors, [0, 1, 3, 2]), [-1, 1])
        return tf.reshape(values, [n, high, wide, kh * kw * x.shape[3]])

    patches = recomputed(read)(*map(widen, inputs))
    patches = with_shape(patches, [x.shape[0], rows.out, columns.out, kh * kw * x.shape[3]])
    patches = swapped(patches, kh * kw, number)  # [N, H', W', groups*kH*kW*C]
    filters = tf.reshape(widen(w), [1, 1, kh * kw * c, o])
    y = conv2d(patches, filters, bias=bias, relu=relu, algorithm=algorithm)
    return tensors.restore(tf.cast(y, x.dtype), data_format)


def _per_tap(
    values: tf.Tensor, name: str, each: int, x: tf.Tensor, window: Window, data_format: str
) -> tf.Tensor:
    """Converts offsets or a mask to channels last, and checks them against images and window."""
    values = tf.convert_to_tensor(values)
    if values.dtype != x.dtype or values.shape.rank != 4:
        raise ValueError(
            f"{name} must be {x.dtype.name} of rank 4, as x, got {values.dtype.name} of shape "
            f"{values.shape}."
        )
    values = tensors.images(values, data_format)
    kh, kw = window.kernel
    channels, of_group = values.shape[3], each * kh * kw
    if not channels or channels % of_group or x.shape[3] % (channels // of_group):
        raise ValueError(
            f"{name} must have {of_group} channels for each group, of which {x.shape[3]} channels "
            f"of x are a multiple, got {channels}."
        )
    axes = window.axes(length(x, 1), length(x, 2))
    expected = [x.shape[0], *(a.out if isinstance(a.out, int) else None for a in axes)]
    if not values.shape[:3].is_compatible_with(expected):
        raise ValueError(
            f"{name} must have the images and positions of the result, "
            f"{'x'.join(map(str, expected))}, got shape {values.shape}."
        )
    return values


def _taps(axis: Axis, window: Window, index: int, dtype: tf.DType) -> tf.Tensor:
    """The pixel that each tap reads along an axis before it is moved, `[positions, kH*kW]`."""
    kh, kw = window.kernel
    tap = tf.range(kh * kw)
    tap = tap // kw if index == 0 else tap % kw
    # not that of `axis`, which leaves out zeros that no tap reads until it is moved
    pads = window.padding
    before = axis.before if pads == "SAME" else 0 if pads == "VALID" else pads[index][0]
    starts = axis.stride * tf.range(axis.out) - before
    return tf.cast(starts[:, None] + axis.dilation * tap, dtype)


def _bilinear(x: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Reads images between pixels; outside they are 0.

    Args:
      x: `[N, H, W, G*C]`, of float32 or float64.
      rows: `[N, P, K, G]`, where to read, in pixels; of the dtype of `x`.
      columns: The same.

    Returns:
      `[N*P*K*G, C]`.
    """
    n, height, width, channels = (length(x, axis) for axis in range(4))
    groups = rows.shape[-1]
    # A frame of zeros is what is read outside, up to where the four pixels around lie in it.
    framed = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    values = tf.reshape(framed, [n * (height + 2) * (width + 2) * groups, channels // groups])
    top, above, down = _between(rows, height)
    left, before, right = _between(columns, width)
    image = tf.reshape(tf.range(tf.cast(n, tf.int64)), [n, 1, 1, 1])
    group = tf.range(groups, dtype=tf.int64)

    high, wide = (tf.cast(side + 2, tf.int64) for side in (height, width))

    def corner(row: tf.Tensor, column: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        pixel = (image * high + row) * wide + column
        index = tf.reshape(pixel * groups + group, [-1])
        return _gather(values, index) * tf.reshape(factor, [-1, 1])

    return tf.add_n(
        [
            corner(top, left, (1 - down) * (1 - right)),
            corner(top, before, (1 - down) * right),
            corner(above, left, down * (1 - right)),
            corner(above, before, down * right),
        ]
    )


def _between(places: tf.Tensor, size: Size) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The two pixels of the framed image around each place, and how far it is from the first."""
    places = tf.clip_by_value(places, -1, tf.cast(size, places.dtype))
    first = tf.floor(places)
    last = tf.cast(size + 1, tf.int64)
    index = tf.clip_by_value(tf.cast(first, tf.int64) + 1, 0, last)  # of a NaN, which is no index
    return index, tf.minimum(index + 1, last), places - tf.stop_gradient(first)


def _gather(values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Rows `[I, C]` of a matrix `[R, C]`; its gradient is `_scatter`, and the other way round."""

    @tf.custom_gradient
    def apply(values):
        return tf.gather(values, index), lambda dy: _scatter(dy, index, length(values, 0))

    return apply(values)


def _scatter(parts: tf.Tensor, index: tf.Tensor, rows: Size) -> tf.Tensor:
    """Sums parts `[I, C]` into the rows of a matrix `[R, C]` that an index names."""

    @tf.custom_gradient
    def apply(parts):
        return tf.math.unsorted_segment_sum(parts, index, rows), lambda dy: _gather(dy, index)

    return apply(parts)
