"""What a model is made of, layer by layer."""

from __future__ import annotations

import dataclasses
import math

import tensorflow as tf
from rich.table import Table

from hw2 import ops
from hw2.layers.sequential import Sequential, flat


@dataclasses.dataclass(frozen=True)
class Row:
    """One layer; `output` without the batch, `multiply_adds` for one picture."""

    layer: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int


def summarize(model: Sequential, image_shape: tuple[int, int, int]) -> list[Row]:
    """Traces one picture through the model and reads sizes and products off the graph.

    Args:
      model: Its stages are the rows; a stage that is a `Sequential` itself gives its own.
      image_shape: (H, W, C) of the picture.
    """
    rows = []
    shape = (1, *image_shape)
    for name, layer in flat(model):
        spec = tf.TensorSpec(shape, tf.float32)
        graph = tf.function(lambda x, layer=layer: layer(x), autograph=False)
        with ops.algorithm("native"):  # one node of the graph, whose products are the definition's
            concrete = graph.get_concrete_function(spec)
        shape = tuple(concrete.outputs[0].shape)
        variables = layer.trainable_variables if isinstance(layer, tf.Module) else ()
        parameters = sum(math.prod(v.shape) for v in variables)
        products = sum(_multiply_adds(op) for op in concrete.graph.get_operations())
        rows.append(Row(name, shape[1:], parameters, products))
    return rows


def table(rows: list[Row]) -> Table:
    """The rows and their sums, for a terminal of 80 columns."""
    result = Table(box=None, pad_edge=False)
    result.add_column("layer", overflow="fold")
    for title in ("output", "parameters", "multiply-adds"):
        result.add_column(title, justify="right")
    for row in rows:
        size = "x".join(map(str, row.output))
        result.add_row(row.layer, size, f"{row.parameters:,}", f"{row.multiply_adds:,}")
    parameters = sum(row.parameters for row in rows)
    products = sum(row.multiply_adds for row in rows)
    result.add_row("total", "", f"{parameters:,}", f"{products:,}", style="bold")
    return result


def _multiply_adds(op: tf.Operation) -> int:
    """Of a convolution or matrix product: outputs times what each sums; other ops have none."""
    if op.type == "Conv2D":
        kh, kw, channels, _ = op.inputs[1].shape
        return math.prod(op.outputs[0].shape) * kh * kw * channels
    if op.type in ("MatMul", "BatchMatMulV2"):
        transposed = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
        return math.prod(op.outputs[0].shape) * op.inputs[0].shape[-2 if transposed else -1]
    return 0
