"""What the operations of a graph say of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from hw2.ops import geometry
from hw2.ops.geometry import Window
from hw2.serve.layer import (
    ACTIVATIONS,
    AVERAGE_POOL,
    CONCATENATION,
    CONVOLUTION,
    DENSE,
    DEPTHWISE,
    FLATTEN,
    MAX_POOL,
    MEAN,
    NORM,
    PRODUCT,
    SUM,
)

KINDS = {
    "Conv2D": CONVOLUTION,
    "DepthwiseConv2dNative": DEPTHWISE,
    "MatMul": DENSE,
    "FusedBatchNormV3": NORM,
    "MaxPool": MAX_POOL,
    "AvgPool": AVERAGE_POOL,
    "Mean": MEAN,
    "AddV2": SUM,
    "Mul": PRODUCT,
    "ConcatV2": CONCATENATION,
    "Reshape": FLATTEN,
    **ACTIVATIONS,
}


def is_layer(op: tf.Operation, depends: set[str]) -> bool:
    """Whether the operation is one of those listed, on maps `[1, H, W, C]` or a vector `[1, C]`."""
    if op.type not in KINDS or op.outputs[0].shape.rank not in (2, 4):
        return False
    if None in op.outputs[0].shape or op.outputs[0].shape[0] != 1:
        return False
    if op.type in ("AddV2", "Mul"):
        return all(
            t.name in depends and t.shape.rank == op.outputs[0].shape.rank for t in op.inputs
        )
    if op.type == "ConcatV2":
        return axis(op.inputs[-1]) in (-1, op.outputs[0].shape.rank - 1)
    if op.type == "Reshape":
        return op.inputs[0].shape.rank == 4 and op.outputs[0].shape.rank == 2
    if op.type == "Mean":
        return op.inputs[0].shape.rank == 4 and op.outputs[0].shape[-1] == op.inputs[0].shape[-1]
    if op.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
        return op.inputs[1].name not in depends
    return True


def options(op: tf.Operation) -> dict[str, Any]:
    """What the attributes of an operation say of its layer."""
    if op.type == "FusedBatchNormV3":
        return {"epsilon": op.get_attr("epsilon")}
    if op.type in ("MaxPool", "AvgPool"):
        kernel = op.get_attr("ksize")
        return {"window": _window(op, kernel[1:3], 1)}
    if op.type in ("Conv2D", "DepthwiseConv2dNative"):
        w = op.inputs[1].shape
        groups = op.inputs[0].shape[3] // w[2] if op.type == "Conv2D" else 1
        return {"window": _window(op, w[:2], op.get_attr("dilations")[1:3]), "groups": groups}
    return {}


def path(parameters: Sequence[tf.Tensor], names: dict[str, str]) -> str:
    """The path of the variable behind the first parameter; of several that are put together, of
    the path that they share and what is different.
    """
    found: list[str] = []
    waiting = list(parameters[:1])
    while waiting:
        tensor = waiting.pop(0)
        if tensor.name in names:
            found.append(names[tensor.name])
        else:
            waiting = [*tensor.op.inputs, *waiting]
    if len(found) < 2:
        return found[0] if found else ""
    parts = [name.split("/") for name in found]
    shared = 0
    while len({tuple(part[: shared + 1]) for part in parts}) == 1:
        shared += 1
    return "/".join([*parts[0][:shared], ", ".join("/".join(part[shared:]) for part in parts)])


def axis(tensor: tf.Tensor) -> int | None:
    """The number that a tensor of the graph holds, or None where it is not known."""
    value = tf.get_static_value(tensor)
    return None if value is None or value.ndim else int(value)


def is_vector(tensor: tf.Tensor) -> bool:
    """Whether a tensor is `[1, C]` or `[1, 1, 1, C]`."""
    shape = tensor.shape
    return shape.rank in (2, 4) and all(side == 1 for side in shape[:-1])


def size(tensor: tf.Tensor) -> tuple[int, int, int]:
    """(H, W, C) of a tensor; 1x1xC of a vector."""
    if tensor.shape.rank == 2:
        return 1, 1, tensor.shape[1]
    return tuple(tensor.shape[1:])


def _window(op: tf.Operation, kernel: Sequence[int], dilations: int | Sequence[int]) -> Window:
    padding = op.get_attr("padding").decode()
    if padding == "EXPLICIT":
        pads = op.get_attr("explicit_paddings")
        padding = (pads[2:4], pads[4:6])
    return geometry.window(list(kernel), op.get_attr("strides")[1:3], padding, dilations)
