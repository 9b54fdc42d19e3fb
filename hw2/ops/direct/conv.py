"""conv2d by the compiled kernel: no patches, and bias and ReLU in the same pass."""

from __future__ import annotations

import tensorflow as tf

from hw2.ops.direct import library, options
from hw2.ops.geometry import Axis, Size, Window
from hw2.ops.tensors import UNFINISHED, Finish, length, with_shape

TILES = (2, 3, 4, 5)  # of Winograd inside the kernel


def conv2d(
    x: tf.Tensor,
    w: tf.Tensor,
    window: Window,
    finish: Finish = UNFINISHED,
    *,
    tile: int = 0,
) -> tf.Tensor:
    """Convolves images where they lie in memory.

    Args:
      x: `[N, H, W, groups*C]`; any of N, H, W may be unknown.
      w: `[kH, kW, C, O]`, of the same dtype.
      window: Its kernel is (kH, kW).
      finish: What follows.
      tile: 0, or 2 to 5 for Winograd's F(tile x tile, 3 x 3), of float32 or bfloat16.

    Returns:
      `[N, H', W', O]`. float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      ValueError: There is no kernel on this machine, or it cannot be used here; with the reason.

    Cost: N*H'*W'*kH*kW*C*O multiply-adds, and no memory but the result's. The gradients are
    kernels too, and theirs are the three again.
    """
    if reason := refusal(x, w, window, tile=tile):
        raise ValueError(f"direct must have {reason}.")
    options.check(x)  # that there is a kernel
    rows, columns = window.axes(length(x, 1), length(x, 2))
    bias = tf.zeros([0], x.dtype) if finish.bias is None else tf.cast(finish.bias, x.dtype)
    attributes = options.of_window(window) | {"relu": finish.relu, "tile": tile}
    y = library.load().hw2_conv2d(x, w, bias, **attributes)
    return with_shape(y, [x.shape[0], rows.out, columns.out, w.shape[3]])


def conv2d_transpose(
    x: tf.Tensor, w: tf.Tensor, image_size: tuple[Size, Size], window: Window, groups: int
) -> tf.Tensor:
    """The gradient of `conv2d` by its images, as an op of its own.

    Args:
      x: `[N, H', W', C]`, in the place of the gradient of the results.
      w: `[kH, kW, O, C]`, of the same dtype.
      image_size: (H, W) of the result.
      window: Its kernel is (kH, kW).
      groups: Of channels.

    Returns:
      `[N, H, W, groups*O]`. float16 and bfloat16 are summed in float32 and rounded once.

    Raises:
      Unavailable: There is no kernel on this machine; `options.usable` tells.

    Cost: N*H'*W'*kH*kW*C*O multiply-adds, and no memory but the result's.
    """
    size = tf.stack([tf.cast(side, tf.int32) for side in image_size])
    attributes = options.of_window(window) | {"groups": groups}
    y = library.load().hw2_conv2d_grad_input(w, x, size, **attributes)
    return with_shape(y, [x.shape[0], *image_size, groups * w.shape[2]])


def refusal(x: tf.Tensor, w: tf.Tensor, window: Window, *, tile: int = 0) -> str | None:
    """What the kernel would need and does not get; None where it can do it."""
    if reason := options.refusal(x):
        return reason
    if tile and tile not in TILES:
        return f"a tile of 0 or one of {TILES}, got {tile}"
    if tile and x.dtype not in (tf.float32, tf.bfloat16):
        return f"float32 or bfloat16 for a tile of {tile}, got {x.dtype.name}"
    if tile and (window.kernel != (3, 3) or x.shape[3] != w.shape[2]):
        return f"images of one group and a 3x3 window for a tile of {tile}, got {window}"
    if tile and (window.strides != (1, 1) or window.dilations != (1, 1)):
        return f"strides and dilations of 1 for a tile of {tile}, got {window}"
    return None


def tile_for(rows: Axis, columns: Axis, c: int, o: int) -> int:
    """The tile that is the fastest for a 3x3 window; 0 where Winograd is not.

    A model of the kernel's time for a batch of 32: products, at 32 a cycle; the transforms of
    images and results, a register of 16 channels at a time, in measured cycles; and the transform
    of the filters, bound by the memory that it is written to.

    Args:
      rows: The window along the rows, of known sizes.
      columns: The window along the columns.
      c: Channels.
      o: Filters.
    """
    registers_in, registers_out = -(-c // 16), -(-o // 16)

    def cycles(tile: int) -> float:
        points = (tile + 2) ** 2
        tiles = -(-rows.out // tile) * -(-columns.out // tile)
        transforms = registers_in * _CYCLES_IN[tile] + registers_out * _CYCLES_OUT[tile]
        filters = points * c * 16 * registers_out / 2 / 32
        return tiles * (points * c * registers_out / 2 + transforms) + filters

    best = min(TILES, key=cycles)
    direct = rows.out * columns.out * 9 * c * registers_out / 2
    return best if cycles(best) < 0.85 * direct else 0


# Cycles of a register's transform with its loads and stores, by tile: as many as it has additions.
_CYCLES_IN = {2: 60, 3: 110, 4: 220, 5: 380}
_CYCLES_OUT = {2: 40, 3: 80, 4: 140, 5: 240}


def _attributes(op: tf.Operation) -> dict:
    """The attributes that an op hands on to those of its gradients."""
    return options.of_op(op) | {"tile": op.get_attr("tile")}


def _grad_input(w: tf.Tensor, dy: tf.Tensor, x: tf.Tensor, groups: int, attributes: dict):
    """The gradient by `x`, of which only the shape counts."""
    size = options.image_size(x)
    dx = library.load().hw2_conv2d_grad_input(w, dy, size, groups=groups, **attributes)
    return with_shape(dx, x.shape)


def _grad_filter(x: tf.Tensor, dy: tf.Tensor, w: tf.Tensor, groups: int, attributes: dict):
    """The gradient by `w`, of which only the shape counts."""
    kernel = list(w.shape[:2])
    return library.load().hw2_conv2d_grad_filter(x, dy, kernel=kernel, groups=groups, **attributes)


def _forward(x: tf.Tensor, w: tf.Tensor, attributes: dict) -> tf.Tensor:
    return library.load().hw2_conv2d(x, w, tf.zeros([0], x.dtype), **attributes)


@tf.RegisterGradient("Hw2Conv2D")
def _of_conv2d(op: tf.Operation, dy: tf.Tensor):
    (x, w, bias), attributes = op.inputs, _attributes(op)
    groups = x.shape[3] // w.shape[2] if w.shape[2] else 1
    if op.get_attr("relu"):
        dy = tf.raw_ops.ReluGrad(gradients=dy, features=op.outputs[0])
    dx = _grad_input(w, dy, x, groups, attributes)
    dw = _grad_filter(x, dy, w, groups, attributes)
    return dx, dw, tf.reduce_sum(dy, [0, 1, 2]) if bias.shape[0] else None


@tf.RegisterGradient("Hw2Conv2DGradInput")
def _of_grad_input(op: tf.Operation, by_dx: tf.Tensor):
    (w, dy, _), attributes = op.inputs, _attributes(op)
    return (
        _grad_filter(by_dx, dy, w, op.get_attr("groups"), attributes),
        _forward(by_dx, w, attributes),
        None,
    )


@tf.RegisterGradient("Hw2Conv2DGradFilter")
def _of_grad_filter(op: tf.Operation, by_dw: tf.Tensor):
    (x, dy), attributes = op.inputs, _attributes(op)
    return (
        _grad_input(by_dw, dy, x, op.get_attr("groups"), attributes),
        _forward(x, by_dw, attributes),
    )
