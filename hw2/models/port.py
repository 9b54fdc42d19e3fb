"""Copies the weights of Keras's networks into ours of the same architecture.

`--pretrained=imagenet` does so before a training. To do it by hand:

    source = tf.keras.applications.ResNet50(classifier_activation=None)
    model = resnet50((224, 224, 3), 1000, seed=0, pretrained="imagenet", load_pretrained=False)
    port.to_resnet50(source, model)

The convolutions of Keras's ResNet-50 have biases before their batch norms, ours have none. Such a
bias only shifts the mean that the batch norm subtracts, so it is subtracted from the moving mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from hw2.layers.conv import Conv
from hw2.layers.norm import BatchNorm
from hw2.layers.sequential import Sequential
from hw2.models.pretrained import DEVIATION

EPSILON = 1.001e-5  # for the batch norms in Keras's ResNet-50 and DenseNet-121


def to_resnet50(source: tf.keras.Model, model: Sequential, *, standardized: bool = False) -> None:
    """Copies the weights of `tf.keras.applications.ResNet50`.

    Args:
      source: Keras's model, with its last layer or without.
      model: Our `resnet50` with Keras's strides and epsilon. Its last layer keeps its initial
        weights unless both have as many classes. For images of one channel the filters of the
        three colours are summed, which is the same as repeating the channel three times.
      standardized: Whether the filters are adapted to red, green and blue in [0, 1], less the
        mean and divided by the deviation of ImageNet. Otherwise they expect, like Keras's, blue,
        green and red in [0, 255] less their means. The means differ by up to half a level of 255.
    """
    stages: dict[str, Any] = model.stages  # of the kinds that this architecture has
    stem = stages["stem"].stages
    first = _kernel(source, "conv1_conv")
    if standardized:
        first = first[:, :, ::-1] * (255 * DEVIATION[:, None])  # [7, 7, C, O]
    _set_colours(stem["conv1"], first)
    _set_norm(stem["norm1"], source, "conv1_bn", "conv1_conv")
    for number in range(1, 5):
        for index, block in enumerate(stages[f"stage{number}"].stages.values(), start=1):
            theirs = f"conv{number + 1}_block{index}"
            pairs = [(block.conv1, block.norm1), (block.conv2, block.norm2)]
            pairs.append((block.conv3, block.norm3))
            if block.shortcut:
                pairs.insert(0, (block.shortcut.stages["conv"], block.shortcut.stages["norm"]))
            first_index = 4 - len(pairs)  # Keras counts the shortcut's as 0
            for part, (conv, norm) in enumerate(pairs, start=first_index):
                conv.w.assign(_kernel(source, f"{theirs}_{part}_conv"))
                _set_norm(norm, source, f"{theirs}_{part}_bn", f"{theirs}_{part}_conv")
    _set_last(source, model)


def to_densenet121(source: tf.keras.Model, model: Sequential) -> None:
    """Copies the weights of `tf.keras.applications.DenseNet121`.

    Both expect red, green and blue less the mean and divided by the deviation of ImageNet.

    Args:
      source: Keras's model, with its last layer or without.
      model: Our `densenet121` with Keras's epsilon. For its last layer, and for images of one
        channel, see `to_resnet50`.
    """
    stages: dict[str, Any] = model.stages  # of the kinds that this architecture has
    stem = stages["stem"].stages
    _set_colours(stem["conv1"], _kernel(source, "conv1_conv"))
    _set_norm(stem["norm1"], source, "conv1_bn")
    for number in range(1, 5):
        for index, layer in enumerate(stages[f"block{number}"].stages.values(), start=1):
            theirs = f"conv{number + 1}_block{index}"
            _set_norm(layer.norm1, source, f"{theirs}_0_bn")
            layer.conv1.w.assign(_kernel(source, f"{theirs}_1_conv"))
            _set_norm(layer.norm2, source, f"{theirs}_1_bn")
            layer.conv2.w.assign(_kernel(source, f"{theirs}_2_conv"))
        if number < 4:
            between = stages[f"transition{number}"].stages
            _set_norm(between["norm"], source, f"pool{number + 1}_bn")
            between["conv"].w.assign(_kernel(source, f"pool{number + 1}_conv"))
    _set_norm(stages["norm"], source, "bn")
    _set_last(source, model)


def _kernel(source: tf.keras.Model, name: str) -> np.ndarray:
    return source.get_layer(name).kernel.numpy()


def _set_colours(conv: Conv, kernel: np.ndarray) -> None:
    """Copies the filters of the first convolution, summed over colours for grey images."""
    conv.w.assign(kernel.sum(2, keepdims=True) if conv.w.shape[2] == 1 else kernel)


def _set_norm(norm: BatchNorm, source: tf.keras.Model, name: str, conv: str | None = None) -> None:
    theirs = source.get_layer(name)
    bias = source.get_layer(conv).bias.numpy() if conv else 0
    norm.scale.assign(theirs.gamma.numpy())
    norm.offset.assign(theirs.beta.numpy())
    norm.mean.assign(theirs.moving_mean.numpy() - bias)
    norm.variance.assign(theirs.moving_variance.numpy())


def _set_last(source: tf.keras.Model, model: Sequential) -> None:
    stages: dict[str, Any] = model.stages
    linear, last = stages["linear"], source.layers[-1]
    if isinstance(last, tf.keras.layers.Dense) and last.units == linear.w.shape[1]:
        linear.w.assign(last.kernel.numpy())
        linear.b.assign(last.bias.numpy())
