"""One layer of a network, and the kinds of layers."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from hw2.ops.geometry import Window

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
