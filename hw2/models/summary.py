"""Summaries of a model: the layers, and their shapes, parameters and costs."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import tensorflow as tf
from rich.table import Table

from hw2 import ops
from hw2.layers.initializers import sizes_only
from hw2.layers.sequential import Sequential, flat

ALIKE = 3  # so many blocks of one kind in a row may share one line


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a summary: a layer, or the sums of several.

    Attributes:
      layer: Path of the layer, for example "stem/conv1".
      output: Shape of the output without the batch.
      parameters: Number of trainable parameters.
      multiply_adds: Multiply-adds of convolutions and matrix products, for one image.
      patches: Number of values in the patch matrices of `ops.conv2d` by im2col, for one image. A
        window of one pixel and stride 1 needs none, since the image is the matrix.
    """

    layer: str
    output: tuple[int, ...]
    parameters: int
    multiply_adds: int
    patches: int


def summarize(model: Sequential, image_shape: tuple[int, int, int]) -> list[Row]:
    """Traces one image through the model, and reads shapes and products off the graph.

    Args:
      model: The model. There is a row for each stage; stages of nested `Sequential`s have their
        own rows.
      image_shape: (H, W, C) of the image.
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
        operations = concrete.graph.get_operations()
        products = sum(map(_multiply_adds, operations))
        rows.append(Row(name, shape[1:], parameters, products, sum(map(_patches, operations))))
    return rows


def measure(
    make: Callable[..., Sequential], image_shape: tuple[int, int, int], num_classes: int
) -> dict[str, int]:
    """Counts the parameters and costs of a model without allocating its weights.

    Args:
      make: A constructor of `MODELS`.
      image_shape: (H, W, C) of the images.
      num_classes: Length of the logits.

    Returns:
      "parameters", "multiply_adds", "layers" and "patch_bytes".
    """
    with sizes_only():
        model = make(image_shape, num_classes, seed=0)
        rows = summarize(model, image_shape)
        return {
            "parameters": sum(row.parameters for row in rows),
            "multiply_adds": sum(row.multiply_adds for row in rows),
            "layers": sum(len(v.shape) > 1 for v in model.trainable_variables),
            "patch_bytes": 4 * sum(row.patches for row in rows),
        }


def describe(
    make: Callable[..., Sequential], image_shape: tuple[int, int, int], num_classes: int
) -> Table:
    """Returns the table of a model's layers, for one image; arguments as for `measure`."""
    with sizes_only():
        model = make(image_shape, num_classes, seed=0)
        return table(model, summarize(model, image_shape), batch_size=1)


def table(
    model: Sequential, rows: list[Row], *, batch_size: int, value_bytes: int = 4, whole: bool = True
) -> Table:
    """Returns the tree of a model's stages with their sums, for a terminal of 80 columns.

    Args:
      model: The model.
      rows: Its rows, from `summarize`.
      batch_size: Number of images for which the memory of patches is given.
      value_bytes: Bytes of one value.
      whole: Whether consecutive blocks of one kind are shown one by one.
    """
    result = Table(box=None, pad_edge=False)
    result.add_column("layer", overflow="fold", vertical="bottom")
    patches = f"im2col patches\nof {batch_size:,} picture{'s' * (batch_size > 1)}"
    for title in ("output", "parameters", "multiply-adds", patches):
        result.add_column(title, justify="right", no_wrap=True, vertical="bottom")

    def add(name: str, row: Row, style: str | None = None) -> None:
        size = "x".join(map(str, row.output))
        megabytes = batch_size * value_bytes * row.patches / 1e6
        counts = [f"{count:,}" if count else "" for count in (row.parameters, row.multiply_adds)]
        patches = f"{megabytes:,.1f} MB" if megabytes else ""
        result.add_row(name, size, *counts, patches, style=style)

    for depth, name, row in tree(model, rows, whole=whole):
        add("  " * depth + name, row)
    add("total", dataclasses.replace(together("total", rows), output=()), style="bold")
    return result


def tree(
    model: Sequential, rows: list[Row], *, whole: bool = True, depth: int = 0
) -> list[tuple[int, str, Row]]:
    """Lists depth, own name and row of every stage; a sequence's sums come before its stages.

    Args:
      model: The model.
      rows: Its rows, from `summarize`.
      whole: Whether consecutive blocks of one kind are shown one by one.
      depth: Depth of the model's own stages.
    """
    found, rest = [], iter(rows)
    for name, stage in model.stages.items():
        if not isinstance(stage, Sequential):
            found.append((depth, name, next(rest)))
            continue
        own = list(itertools.islice(rest, len(flat(stage))))
        kinds = [type(inner).__name__ for inner in stage.stages.values()]
        alike = len(kinds) >= ALIKE and len(set(kinds)) == 1
        if alike and not whole:
            name = f"{name}: {len(kinds)} x {kinds[0]}"
        found.append((depth, name, together(name, own)))
        if len(kinds) > 1 and (whole or not alike):
            found += tree(stage, own, whole=whole, depth=depth + 1)
    return found


def together(name: str, rows: Sequence[Row]) -> Row:
    """Sums the counts of consecutive layers; the output is that of the last."""
    sums = (
        sum(getattr(row, field) for row in rows)
        for field in ("parameters", "multiply_adds", "patches")
    )
    return Row(name, rows[-1].output if rows else (), *sums)


def _multiply_adds(op: tf.Operation) -> int:
    """Counts the multiply-adds of a convolution or matrix product; 0 for other operations."""
    if op.type == "Conv2D":
        kh, kw, channels, _ = op.inputs[1].shape
        return math.prod(op.outputs[0].shape) * kh * kw * channels
    if op.type == "DepthwiseConv2dNative":
        kh, kw, _, _ = op.inputs[1].shape
        return math.prod(op.outputs[0].shape) * kh * kw
    if op.type in ("MatMul", "BatchMatMulV2"):
        transposed = op.get_attr("transpose_a" if op.type == "MatMul" else "adj_x")
        return math.prod(op.outputs[0].shape) * op.inputs[0].shape[-2 if transposed else -1]
    return 0


def _patches(op: tf.Operation) -> int:
    """Counts the values in the patch matrix of a convolution; 0 for other operations."""
    if op.type != "Conv2D":
        return 0
    kh, kw, _, _ = op.inputs[1].shape
    strides = op.get_attr("strides")
    if kh == kw == 1 and set(strides) == {1}:
        return 0
    return math.prod(op.outputs[0].shape[:3]) * kh * kw * op.inputs[0].shape[3]
