"""Images to patches and back: `unfold` (im2col) and `fold` (col2im), each the other's gradient."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from hw2.ops import geometry, tensors
from hw2.ops.fusion import fused
from hw2.ops.geometry import Axis, Padding, Pair, Size, Window
from hw2.ops.tensors import length, widen, with_shape


def unfold(
    x: tf.Tensor,
    kernel: Pair,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
) -> tf.Tensor:
    """Lays the patch under every position of a window side by side (im2col).

    The values and their order are those of `tf.image.extract_patches`, bit for bit; this one
    is faster, and so is its gradient, which is `fold` and therefore differentiable again.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      kernel: Rows and columns of the window: an int, a pair or `[1, kH, kW, 1]`.
      strides: Steps of the window, in the same forms.
      padding: "SAME", "VALID", or zeros ((top, bottom), (left, right)).
      dilations: Distances of neighbouring taps, in the same forms.

    Returns:
      `[N, H', W', kH*kW*C]`, taps in row order, channels innermost.

    Raises:
      ValueError: An argument has another form, or the window does not fit into the image.

    Cost: kH*kW/(sH*sW) times the memory of `x`, each value copied once.

    Source: Chellapilla et al., "High Performance Convolutional Neural Networks for Document
    Processing", 2006, hal.inria.fr/inria-00112631.
    """
    x = tensors.images(x)
    window = geometry.window(kernel, strides, padding, dilations)
    image_size = (length(x, 1), length(x, 2))

    @tf.custom_gradient
    def apply(x):
        def grad(dy):
            return fused(lambda dy: fold(dy, image_size, *window))(dy)

        slices = _slices(x, *window.axes(*image_size), join=True)
        return tf.concat(slices, 3) if len(slices) > 1 else slices[0], grad

    return apply(x)


def unfold_columns(x: tf.Tensor, window: Window) -> tf.Tensor:
    """Lays the patch under every position in a column: `unfold`, transposed.

    Copies run along the pixels of a row, where those of `unfold` take a few channels at a time:
    for pictures of 3 channels it is faster by a third.

    Args:
      x: `[N, H, W, C]`; any of N, H, W may be unknown.
      window: kH x kW taps.

    Returns:
      `[kH*kW*C, N*H'*W']`, taps in row order, channels innermost.
    """
    n, height, width, c = (length(x, axis) for axis in range(4))
    rows, columns = window.axes(height, width)
    places, values = n * rows.out * columns.out, rows.taps * columns.taps * c

    @tf.custom_gradient
    def apply(x):
        def back(dy):
            patches = tf.reshape(tf.transpose(dy), [n, rows.out, columns.out, values])
            return fold(patches, (height, width), *window)

        planes = tf.reshape(tf.transpose(x, [3, 0, 1, 2]), [c * n, height, width, 1])
        taps = tf.concat(_slices(planes, rows, columns), 0)  # [kH*kW*C*N, H', W', 1]
        return tf.reshape(taps, [values, places]), fused(back)

    return apply(x)


def fold(
    patches: tf.Tensor,
    image_size: Sequence[Size],
    kernel: Pair,
    strides: Pair = 1,
    padding: Padding = "SAME",
    dilations: Pair = 1,
    reduction: str = "sum",
) -> tf.Tensor:
    """Adds patches back into the image they came from (col2im), the adjoint of `unfold`.

    Args:
      patches: `[N, H', W', kH*kW*C]`, as from `unfold`.
      image_size: (H, W) of the image; ints or scalar tensors.
      kernel: As for `unfold`, and so are `strides`, `padding` and `dilations`.
      reduction: "sum", or "mean" for the left inverse of `unfold`.

    Returns:
      `[N, H, W, C]`: each pixel is the sum (or mean) of all patch values that `unfold` reads
      from it, and 0 where it reads none.

    Raises:
      ValueError: An argument has another form, or an image of this size has other patches.

    Cost: each value read once and added once; no scatter, so the order of sums is fixed.
    """
    if reduction not in ("sum", "mean"):
        raise ValueError(f'reduction must be "sum" or "mean", got {reduction!r}.')
    patches = tf.convert_to_tensor(patches)
    image_size = (image_size[0], image_size[1])
    window = geometry.window(kernel, strides, padding, dilations)
    _check_patches(patches, *window.axes(*image_size))
    wide = widen(patches)
    parts = tf.split(wide, window.kernel[0] * window.kernel[1], 3)
    x = add_taps(parts, image_size, window)
    if reduction == "mean":
        ones = tf.ones([1, *image_size, 1], wide.dtype)
        x = tf.math.divide_no_nan(x, add_taps(taps(ones, window), image_size, window))
    return tf.cast(x, patches.dtype)


def taps(x: tf.Tensor, window: Window, outside: float = 0) -> list[tf.Tensor]:
    """Returns what each tap of the window reads; `unfold` is these tensors side by side.

    Args:
      x: `[N, H, W, C]`.
      window: kH x kW taps.
      outside: The value that a tap reads outside the image.

    Returns:
      kH*kW tensors `[N, H', W', C]`, in row order.
    """
    image_size = (length(x, 1), length(x, 2))

    @tf.custom_gradient
    def apply(x):
        def grad(*dy):
            return fused(lambda *dy: add_taps(dy, image_size, window))(*dy)

        return _slices(x, *window.axes(*image_size), outside=outside), grad

    return apply(x)


def add_taps(parts: Sequence[tf.Tensor], image_size: Sequence[Size], window: Window) -> tf.Tensor:
    """Adds what each tap read back into the image, the adjoint of `taps`.

    Args:
      parts: kH*kW tensors `[N, H', W', C]`, in row order.
      image_size: (H, W) of the image.
      window: kH x kW taps.

    Returns:
      `[N, H, W, C]`.
    """

    @tf.custom_gradient
    def apply(*parts):
        def grad(dx):
            return taps(dx, window)

        return _add(parts, *window.axes(*image_size)), grad

    return apply(*parts)


def _slices(
    x: tf.Tensor, rows: Axis, columns: Axis, *, outside: float = 0, join: bool = False
) -> list[tf.Tensor]:
    """Cuts the image into blocks of one stride; then each tap is a dense slice.

    Taps that lie side by side in one block make one slice if `join`.
    """
    n, c = length(x, 0), length(x, 3)
    x = x[:, : rows.used, : columns.used]
    pads = [[0, 0], [rows.before, rows.after], [columns.before, columns.after], [0, 0]]
    x = tf.pad(x, pads, constant_values=outside)
    x = tf.reshape(x, [n, rows.blocks, rows.stride, columns.blocks, columns.stride * c])
    slices = []
    for i in range(rows.taps):
        top, row_phase = rows.place(i)
        for j, run in _runs(columns, join):
            left, phase = columns.place(j)
            part = x[
                :,
                top : top + rows.out,
                row_phase,
                left : left + columns.out,
                phase * c : (phase + run) * c,
            ]
            slices.append(with_shape(part, [n, rows.out, columns.out, run * c]))
    return slices


def _runs(columns: Axis, join: bool) -> list[tuple[int, int]]:
    """Groups taps that lie side by side in one block: (first tap, number of taps)."""
    step = columns.stride if join and columns.dilation == 1 else 1
    return [(j, min(step, columns.taps - j)) for j in range(0, columns.taps, step)]


def _add(parts: Sequence[tf.Tensor], rows: Axis, columns: Axis) -> tf.Tensor:
    """Sums the taps of each phase of the stride in its own image, then interleaves the phases."""
    n, c = length(parts[0], 0), length(parts[0], 3)
    (top, height), (left, width) = _frame(rows), _frame(columns)
    phases: dict[tuple[int, int], list[tf.Tensor]] = {}
    for tap, part in enumerate(parts):
        i, j = divmod(tap, columns.taps)
        down, row_phase = divmod(i * rows.dilation - top, rows.stride)
        right, phase = divmod(j * columns.dilation - left, columns.stride)
        part = _shifted(part, (down, right), (height, width))
        phases.setdefault((row_phase, phase), []).append(part)  # [N, blocks, blocks, C]
    sums = {place: tf.add_n(terms) for place, terms in phases.items()}
    sh, sw = rows.stride, columns.stride
    if sh == sw == 1:
        x = sums[0, 0]
    else:
        zero = tf.zeros([n, height, width, c], parts[0].dtype)
        planes = [sums.get((a, b), zero) for a in range(sh) for b in range(sw)]
        x = tf.reshape(tf.stack(planes), [sh, sw, n, height, width, c])
        x = tf.transpose(x, [2, 3, 0, 4, 1, 5])  # [N, blocks, sH, blocks, sW, C]
        x = tf.reshape(x, [n, height * sh, width * sw, c])
    skip = rows.before - top, columns.before - left
    x = _shifted(x, (-skip[0], -skip[1]), (rows.size, columns.size))
    return with_shape(x, [n, rows.size, columns.size, c])


def _frame(axis: Axis) -> tuple[int, Size]:
    """Returns where in the padded axis the sums begin, and how many blocks of one stride they take.

    They cover the image alone if its position is known before running; else the whole padded axis.
    """
    if isinstance(axis.size, int):
        return axis.before, -(-axis.size // axis.stride)
    return 0, axis.blocks


def _shifted(x: tf.Tensor, steps: tuple[Size, Size], sizes: tuple[Size, Size]) -> tf.Tensor:
    """Shifts images down and right, then crops or zero-pads them to (height, width)."""
    pads, cut = [[0, 0]], [slice(None)]
    for axis, step, size in zip((1, 2), steps, sizes, strict=True):
        before = geometry.minimum(geometry.positive(step), size)
        skip = geometry.positive(-step)
        take = geometry.positive(geometry.minimum(length(x, axis) - skip, size - before))
        pads.append([before, size - before - take])
        cut.append(slice(skip, skip + take))
    return tf.pad(x[tuple(cut)], [*pads, [0, 0]])


def _check_patches(patches: tf.Tensor, rows: Axis, columns: Axis) -> None:
    taps = rows.taps * columns.taps
    if patches.shape.rank != 4 or (patches.shape[3] or 0) % taps:
        raise ValueError(
            f"patches must be [N, H', W', {taps}*C] for a window of {rows.taps}x{columns.taps}, "
            f"got shape {patches.shape}."
        )
    expected = [None if tf.is_tensor(out) else out for out in (rows.out, columns.out)]
    if not patches.shape[1:3].is_compatible_with(expected):
        raise ValueError(
            f"patches of this image must have {expected[0]}x{expected[1]} positions, "
            f"got shape {patches.shape}."
        )
