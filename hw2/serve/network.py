"""A network as the layers that its graph computes, and their values for one image.

The layers are read off the graph of the model, traced with TensorFlow's own convolution, where each
layer is one operation. So they are those that are computed, in blocks and branches too, and in any
model that is made of the operations listed here. What is not listed is passed over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from hw2 import ops
from hw2.ops import geometry
from hw2.ops.geometry import Window
from hw2.training.variables import named_variables

PICTURE, CONVOLUTION, DEPTHWISE = "picture", "convolution", "depthwise convolution"
DENSE, NORM, FLATTEN = "dense", "batch norm", "flatten"
MAX_POOL, AVERAGE_POOL, MEAN = "max pool", "average pool", "mean over positions"
SUM, PRODUCT, CONCATENATION = "sum", "product", "concatenation"
ACTIVATIONS = {
    "Relu": "ReLU",
    "Relu6": "ReLU6",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Elu": "ELU",
    "Softplus": "softplus",
}
_KINDS = {
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
WEIGHTED = (CONVOLUTION, DEPTHWISE, DENSE)


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a network.

    Attributes:
      number: Its place in the order of computation; the picture is 0.
      kind: What it computes, one of the words above.
      name: Path of its weights, or of its stage where it has none.
      stage: Path of the stage that it is a part of.
      size: (H, W, C) of its output; a vector of C values is 1x1xC.
      inputs: The tensors of the graph that it reads and that depend on the picture.
      parameters: Those that do not: weights, or scale, offset, mean and variance.
      output: The tensor that it makes, after the bias.
      bias: `[C]`, or None.
      window: Of a convolution or a pool, else None.
      groups: Of a convolution, else 1.
      epsilon: Added to the variance, of a batch norm.
    """

    number: int
    kind: str
    name: str
    stage: str
    size: tuple[int, int, int]
    inputs: tuple[tf.Tensor, ...]
    parameters: tuple[tf.Tensor, ...]
    output: tf.Tensor
    bias: tf.Tensor | None = None
    window: Window | None = None
    groups: int = 1
    epsilon: float = 0.0


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
            elif op.type == "SplitV" and _axis(op.inputs[2]) in (3, -1):
                number = [out.name for out in op.outputs].index(tensor.name)
                offset += sum(out.shape[3] for out in op.outputs[:number])
                tensor = op.inputs[0]
            elif op.type == "StridedSlice" and _is_vector(tensor) and _is_vector(op.inputs[0]):
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
        graph = image.graph
        handles = {id(variable.handle): name for name, variable in _variables(self._model)}
        names = {
            inner.name: handles[id(outer)]
            for outer, inner in graph.captures
            if id(outer) in handles
        }
        depends = {image.name}
        self._add(Layer(0, PICTURE, "the picture", "", _size(image), (), (), image))
        for op in graph.get_operations():
            if not any(tensor.name in depends for tensor in op.inputs):
                continue
            depends |= {tensor.name for tensor in op.outputs}
            if self._add_bias(op) or not _is_layer(op, depends):
                continue
            inputs = tuple(t for t in op.inputs if t.name in depends)
            parameters = tuple(t for t in op.inputs if t.name not in depends and t.shape.rank)
            stage = op.name.rpartition("/")[0]
            self._add(
                Layer(
                    len(self.layers),
                    _KINDS[op.type],
                    _name(parameters, names) or stage,
                    stage,
                    _size(op.outputs[0]),
                    inputs,
                    parameters,
                    op.outputs[0],
                    **_options(op),
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


def _is_layer(op: tf.Operation, depends: set[str]) -> bool:
    """Whether the operation is one of those listed, on maps `[1, H, W, C]` or a vector `[1, C]`."""
    if op.type not in _KINDS or op.outputs[0].shape.rank not in (2, 4):
        return False
    if None in op.outputs[0].shape or op.outputs[0].shape[0] != 1:
        return False
    if op.type in ("AddV2", "Mul"):
        return all(
            t.name in depends and t.shape.rank == op.outputs[0].shape.rank for t in op.inputs
        )
    if op.type == "ConcatV2":
        return _axis(op.inputs[-1]) in (-1, op.outputs[0].shape.rank - 1)
    if op.type == "Reshape":
        return op.inputs[0].shape.rank == 4 and op.outputs[0].shape.rank == 2
    if op.type == "Mean":
        return op.inputs[0].shape.rank == 4 and op.outputs[0].shape[-1] == op.inputs[0].shape[-1]
    if op.type in ("Conv2D", "DepthwiseConv2dNative", "MatMul"):
        return op.inputs[1].name not in depends
    return True


def _options(op: tf.Operation) -> dict[str, Any]:
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


def _window(op: tf.Operation, kernel: Sequence[int], dilations: int | Sequence[int]) -> Window:
    padding = op.get_attr("padding").decode()
    if padding == "EXPLICIT":
        pads = op.get_attr("explicit_paddings")
        padding = (pads[2:4], pads[4:6])
    return geometry.window(list(kernel), op.get_attr("strides")[1:3], padding, dilations)


def _name(parameters: Sequence[tf.Tensor], names: dict[str, str]) -> str:
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


def _axis(tensor: tf.Tensor) -> int | None:
    value = tf.get_static_value(tensor)
    return None if value is None or value.ndim else int(value)


def _is_vector(tensor: tf.Tensor) -> bool:
    shape = tensor.shape
    return shape.rank in (2, 4) and all(side == 1 for side in shape[:-1])


def _size(tensor: tf.Tensor) -> tuple[int, int, int]:
    if tensor.shape.rank == 2:
        return 1, 1, tensor.shape[1]
    return tuple(tensor.shape[1:])
