"""Convolution with weights, and stacks of convolution, batch norm and ReLU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.layers.initializers import he_normal
from hw2.layers.norm import BatchNorm
from hw2.layers.sequential import Sequential
from hw2.ops.geometry import Padding


class Conv(tf.Module):
    """Convolution of images with learned filters, `conv2d(x, w) + b`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 3,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        padding: Padding = "SAME",
        bias: bool = True,
        l2: float = 0.0,
    ):
        """Makes `[kH, kW, inputs, outputs]` filters by He initialization, and a zero bias.

        Args:
          inputs: Channels of the image.
          outputs: Channels of the result.
          kernel: Side, or (rows, columns), of the filters.
          rng: Where the first weights come from.
          strides: Step of the window.
          padding: As for `hw2.ops.conv2d`.
          bias: False before a batch norm, which has its own.
          l2: Weight of the L2 penalty on the filters.
        """
        super().__init__()
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.w = tf.Variable(he_normal((kh, kw, inputs, outputs), rng), name="w")
        self.b = tf.Variable(tf.zeros([outputs]), name="b") if bias else None
        self.strides, self.padding, self.l2 = strides, padding, l2

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, inputs]` to `[N, H', W', outputs]`."""
        return self.apply(x)

    def apply(self, x: tf.Tensor, *, relu: bool = False) -> tf.Tensor:
        """The same, with ReLU behind it in the same pass if wanted; in the dtype of `x`."""
        w = tf.cast(self.w, x.dtype)
        return ops.conv2d(x, w, self.strides, self.padding, bias=self.b, relu=relu)


def conv_stack(
    inputs: int,
    filters: Sequence[int],
    kernels: Sequence[int],
    *,
    rng: np.random.Generator,
    strides: Sequence[int] | None = None,
    paddings: Sequence[Padding] | None = None,
    l2: float = 0.0,
) -> Sequential:
    """Stacks convolution, batch norm and ReLU; one of each per entry of the lists.

    Args:
      inputs: Channels of the image.
      filters: Channels of each convolution's result.
      kernels: Side of each convolution's window.
      rng: Where the first weights come from.
      strides: Step of each window; 1 where not given.
      paddings: Padding of each; "SAME" where not given.
      l2: Weight of the L2 penalty on the filters.

    Returns:
      Stages "conv1", "conv2", and so on.

    Raises:
      ValueError: The lists differ in length.
    """
    strides = strides or [1] * len(filters)
    paddings = paddings or ["SAME"] * len(filters)
    if not len(filters) == len(kernels) == len(strides) == len(paddings):
        raise ValueError(
            "filters, kernels, strides and paddings must be equally many, got "
            f"{len(filters)}, {len(kernels)}, {len(strides)} and {len(paddings)}."
        )
    stages = {}
    for i, (outputs, kernel, stride, padding) in enumerate(
        zip(filters, kernels, strides, paddings, strict=True), start=1
    ):
        stages[f"conv{i}"] = ConvBlock(
            inputs, outputs, kernel, rng=rng, strides=stride, padding=padding, l2=l2
        )
        inputs = outputs
    return Sequential(stages)


class ConvBlock(tf.Module):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 3,
        *,
        rng: np.random.Generator,
        strides: int = 1,
        padding: Padding = "SAME",
        l2: float = 0.0,
    ):
        """Makes the layers; arguments as for `Conv`."""
        super().__init__()
        self.conv = Conv(
            inputs,
            outputs,
            kernel,
            rng=rng,
            strides=strides,
            padding=padding,
            bias=False,
            l2=l2,
        )
        self.norm = BatchNorm(outputs)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, inputs]` to `[N, H', W', outputs]`."""
        return self.norm(self.conv(x), training=training, relu=True)
