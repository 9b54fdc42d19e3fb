"""Inception-ResNet-v2 as Keras has it, under a head of our own: for transfer."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.dense import Dense
from hw2.layers.dropout import Dropout
from hw2.layers.initializers import he_normal
from hw2.layers.sequential import Sequential, relu
from hw2.models.pretrained import DEVIATION, MEAN, NONE, application

FEATURES = 1536  # channels before Keras's own last layer
LEAST_SIDE = 75  # smallest picture that Keras lets through


def inception_resnet_v2(
    image_shape: tuple[int, int, int],
    num_classes: int,
    *,
    seed: int,
    l2: float = 0.0,
    pretrained: str = NONE,
    freeze: bool = False,
    load_pretrained: bool = True,
) -> Sequential:
    """Keras's network up to the mean over all positions, a dense layer of 128, a linear one.

    Args:
      image_shape: (H, W, C) of the pictures, C 1 or 3; any sizes.
      num_classes: Length of the logits.
      seed: Of the first weights.
      l2: Weight of the L2 penalty on the matrices of the two dense layers.
      pretrained: Weights of Keras's part: "imagenet", a file, or "none" for new ones by `seed`.
      freeze: Whether Keras's part stays as it is. Then its variables are none of the model's.
      load_pretrained: False where all that trains will be set from elsewhere; then pretrained
        weights are read only if they are frozen.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Raises:
      RunError: The weights cannot be had.
    """
    if image_shape[2] not in (1, 3):
        raise ValueError(f"the pictures must have 1 or 3 channels, got {image_shape[2]}.")
    rng = np.random.default_rng(seed)
    weights = pretrained if freeze or load_pretrained else NONE
    moving = pretrained == NONE and not freeze
    base = Base(weights, freeze=freeze, moving=moving, rng=rng)
    return Sequential(
        {
            "base": base,
            "dense": Dense(FEATURES, 128, rng=rng, l2=l2),
            "relu": relu,
            "dropout": Dropout(0.5),
            "linear": Dense(128, num_classes, rng=rng, l2=l2),
        }
    )


class Base(tf.Module):
    """Keras's Inception-ResNet-v2 without its last layer.

    Source: Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections
    on Learning", 2016, arxiv.org/abs/1602.07261.
    """

    def __init__(self, weights: str, *, freeze: bool, moving: bool, rng: np.random.Generator):
        """Makes the network.

        Args:
          weights: "imagenet", a file, or "none" for He initialization.
          freeze: Whether its variables are hidden, from training and from checkpoints.
          moving: Whether batch norms in training take the statistics of the batch. Those that
            were learned are better than what small batches give, so it is for new weights.
          rng: Where new weights come from.
        """
        super().__init__()
        base = application(tf.keras.applications.InceptionResNetV2, weights, top=False)
        base.trainable = not freeze
        if weights == NONE:
            for layer in base.layers:
                if isinstance(layer, tf.keras.layers.Conv2D):
                    layer.kernel.value.assign(he_normal(layer.kernel.shape, rng))
        self._base, self._moving = base, moving
        if not freeze:
            self.layers = _by_layer(base)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, 1 or 3]` to `[N, 1536]`.

        Args:
          x: Pictures less the mean of ImageNet's colours, divided by its deviation, or each
            standardized by its own, which comes near. Small ones are enlarged, to 75 pixels.
          training: As for all layers.
          seed: Not needed.
        """
        size = [max(side, LEAST_SIDE) for side in x.shape[1:3]]
        if list(x.shape[1:3]) != size:
            x = tf.image.resize(x, size)
        if x.shape[3] == 1:
            x = tf.repeat(x, 3, axis=3)
        x = 2 * (x * DEVIATION + MEAN) - 1  # Keras's weights want [-1, 1]
        return self._base(x, training=training and self._moving)


def _by_layer(base: tf.keras.Model) -> dict[str, dict[str, tf.Variable]]:
    """TensorFlow's variables by layer; Keras's own names count on from one model to the next."""
    result = {}
    for layer in base.layers:
        if layer.weights:
            kind = type(layer).__name__.lower()
            result[f"{kind}{len(result) + 1}"] = {v.name: v.value for v in layer.weights}
    return result
