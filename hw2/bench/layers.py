"""The convolutions of a model: their shapes and windows, read from its graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from hw2 import ops
from hw2.layers.initializers import sizes_only
from hw2.ops.geometry import Window


class Layer(NamedTuple):
    """A convolution of one image, and how often a model has it.

    Attributes:
      image: (H, W, groups*C).
      filters: (kH, kW, C, O).
      window: Its kernel is (kH, kW).
      times: Number of layers of the model that are alike.
    """

    image: tuple[int, int, int]
    filters: tuple[int, int, int, int]
    window: Window
    times: int = 1

    @property
    def groups(self) -> int:
        """Groups of channels."""
        return self.image[2] // self.filters[2]

    def __str__(self) -> str:
        (kh, kw), (sh, sw), pads, (dh, dw) = self.window
        text = f"{'x'.join(map(str, self.image))} {kh}x{kw}->{self.filters[3]}"
        text += f" s{sh}x{sw}" if (sh, sw) != (1, 1) else ""
        text += f" d{dh}x{dw}" if (dh, dw) != (1, 1) else ""
        text += f" g{self.groups}" if self.groups > 1 else ""
        if isinstance(pads, str):
            return text + (f" {pads}" if pads != "SAME" else "")
        return f"{text} {'/'.join(str(v) for pair in pads for v in pair)}"


def convolutions(
    make: Callable[..., tf.Module], image_shape: tuple[int, int, int], num_classes: int
) -> list[Layer]:
    """Lists the different convolutions of a model in their order, without allocating its weights.

    Args:
      make: A constructor of `hw2.models.MODELS`.
      image_shape: (H, W, C) of the images.
      num_classes: Length of the logits.
    """
    with sizes_only():
        model: Any = make(image_shape, num_classes, seed=0)
        graph = tf.function(lambda x: model(x, training=False), autograph=False)
        with ops.algorithm("native"):  # a node of the graph for each, with all of its options
            concrete = graph.get_concrete_function(tf.TensorSpec([1, *image_shape], tf.float32))
        found = [_layer(op) for op in concrete.graph.get_operations() if op.type == "Conv2D"]
    return [layer._replace(times=found.count(layer)) for layer in dict.fromkeys(found)]


def _layer(op: tf.Operation) -> Layer:
    """Reads a convolution off its node."""
    x, w = (tuple(tensor.shape) for tensor in op.inputs)
    padding: Any = op.get_attr("padding").decode()
    if padding == "EXPLICIT":
        _, _, top, bottom, left, right, _, _ = op.get_attr("explicit_paddings")
        padding = ((top, bottom), (left, right))
    strides, dilations = (tuple(op.get_attr(name)[1:3]) for name in ("strides", "dilations"))
    window = Window(w[:2], strides, padding, dilations)
    same = window._replace(padding="SAME")  # however the model has written it
    return Layer(x[1:], w, same if same.axes(*x[1:3]) == window.axes(*x[1:3]) else window)
