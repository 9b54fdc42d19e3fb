"""A network as the layers that its graph computes, and their values for one image.

The layers are read off the graph of the model, traced with TensorFlow's own convolution, where each
layer is one operation. So they are those that are computed, in blocks and branches too, and in any
model that is made of the operations that `graph.py` lists. What is not listed is passed over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import tensorflow as tf

from hw2 import ops
from hw2.serve import graph
from hw2.serve.layer import PICTURE, WEIGHTED, Layer
from hw2.training.variables import named_variables


class Origin(NamedTuple):
    """Which layer made a tensor, and from which of its channels on."""

    layer: int
    first_channel: int


class Values:
    """All values that a network computes for one image, by the tensors of its graph."""

    def __init__(self, names: Sequence[str], tensors: Sequence[tf.Tensor]):
        self._found = dict(zip(names, tensors, strict=True))

    def of(self, tensor: tf.Tensor) -> tf.Tensor:
        """The values `[H, W, C]`, `[C]` or, of weights, in their own shape."""
        found = self._found[tensor.name]
        return found[0] if found.shape[:1] == [1] and len(found.shape) in (2, 4) else found

    def weights(self, tensor: tf.Tensor) -> tf.Tensor:
        """The values of weights."""
        return self._found[tensor.name]


class Network:
    """The layers of a model for images of one shape."""

    def __init__(self, model: tf.Module, shape: tuple[int, int, int]):
        """Traces the model.

        Args:
          model: Maps `[N, H, W, C]` to logits `[N, classes]`.
          shape: (H, W, C).
        """
        self._model = model  # the graph does not keep its variables alive
        self.layers: list[Layer] = []
        self._made: dict[str, Origin] = {}
        self._names: list[str] = []

        def everything(image: tf.Tensor) -> list[tf.Tensor]:
            model(image, training=False)
            self._read(image)
            tensors = {t.name: t for layer in self.layers for t in _tensors(layer)}
            self._names = list(tensors)
            return list(tensors.values())

        with ops.algorithm("native"):  # one operation for each convolution
            traced = tf.function(everything, autograph=False)
            self._compute = traced.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))

    def values(self, image: tf.Tensor) -> Values:
        """Computes all layers for an image `[1, H, W, C]`."""
        return Values(self._names, self._compute(image))

    def origin(self, tensor: tf.Tensor) -> Origin | None:
        """Finds the layer that made a tensor, or None where other operations did."""
        offset = 0
        while tensor.name not in self._made:
            op = tensor.op
            if op.type in ("Identity", "IdentityN", "CheckNumerics"):
                tensor = op.inputs[op.outputs.index(tensor) if op.type == "IdentityN" else 0]
            elif op.type == "SplitV" and graph.axis(op.inputs[2]) in (3, -1):
                number = [out.name for out in op.outputs].index(tensor.name)
                offset += sum(out.shape[3] for out in op.outputs[:number])
                tensor = op.inputs[0]
            elif (
                op.type == "StridedSlice"
                and graph.is_vector(tensor)
                and graph.is_vector(op.inputs[0])
            ):
                tensor = op.inputs[0]  # [1, C] as [1, 1, 1, C], or back
            else:
                return None
        found = self._made[tensor.name]
        return Origin(found.layer, found.first_channel + offset)

    def after(self, layer: Layer) -> list[Layer]:
        """The layers that read all channels of this one."""
        return [
            other
            for other in self.layers
            if any(
                tensor.shape[-1] == layer.size[2] and self.origin(tensor) == (layer.number, 0)
                for tensor in other.inputs
            )
        ]

    def _read(self, image: tf.Tensor) -> None:
        """Lists the layers of the graph that is being traced."""
        self.layers, self._made = [], {}
        handles = {id(variable.handle): name for name, variable in _variables(self._model)}
        names = {
            inner.name: handles[id(outer)]
            for outer, inner in image.graph.captures
            if id(outer) in handles
        }
        depends = {image.name}
        self._add(Layer(0, PICTURE, "the picture", "", graph.size(image), (), (), image))
        for op in image.graph.get_operations():
            if not any(tensor.name in depends for tensor in op.inputs):
                continue
            depends |= {tensor.name for tensor in op.outputs}
            if self._add_bias(op) or not graph.is_layer(op, depends):
                continue
            inputs = tuple(t for t in op.inputs if t.name in depends)
            parameters = tuple(t for t in op.inputs if t.name not in depends and t.shape.rank)
            stage = op.name.rpartition("/")[0]
            self._add(
                Layer(
                    len(self.layers),
                    graph.KINDS[op.type],
                    graph.path(parameters, names) or stage,
                    stage,
                    graph.size(op.outputs[0]),
                    inputs,
                    parameters,
                    op.outputs[0],
                    **graph.options(op),
                )
            )

    def _add(self, layer: Layer) -> None:
        self.layers.append(layer)
        self._made[layer.output.name] = Origin(layer.number, 0)

    def _add_bias(self, op: tf.Operation) -> bool:
        """Gives a bias to the layer that it follows; False if the operation adds none."""
        if op.type not in ("BiasAdd", "AddV2") or op.inputs[1].shape.rank != 1:
            return False
        found = self._made.get(op.inputs[0].name)
        if found is None:
            return False
        layer = self.layers[found.layer]
        if layer.kind not in WEIGHTED or layer.bias is not None:
            return False
        self.layers[found.layer] = dataclasses.replace(
            layer, output=op.outputs[0], bias=op.inputs[1]
        )
        self._made[op.outputs[0].name] = found
        return True


def _variables(model: tf.Module) -> Iterator[tuple[str, tf.Variable]]:
    for name, variable in named_variables(model).items():
        yield "/".join(part for part in name.split("/")[:-1] if part != "stages"), variable


def _tensors(layer: Layer) -> Iterator[tf.Tensor]:
    yield from (*layer.inputs, *layer.parameters, layer.output)
    if layer.bias is not None:
        yield layer.bias
