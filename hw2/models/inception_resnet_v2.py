"""Keras's Inception-ResNet-v2 with a new head, for transfer learning."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hw2.layers.dense import Dense
from hw2.layers.dropout import Dropout
from hw2.layers.initializers import he_normal
from hw2.layers.sequential import Sequential, relu
from hw2.models.pretrained import DEVIATION, MEAN, NONE, application

FEATURES = 1536  # channels before Keras's own last layer
LEAST_SIDE = 75  # pixels; Keras's network accepts no smaller images


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
    """Makes Keras's network up to the mean over all positions, a dense layer and a linear one.

    Args:
      image_shape: (H, W, C) of the images, C 1 or 3; any sizes.
      num_classes: Length of the logits.
      seed: Seed of the initial weights.
      l2: Weight of the L2 penalty on the matrices of the two dense layers.
      pretrained: Weights of Keras's part: "imagenet", a file, or "none" for new ones by `seed`.
      freeze: Whether Keras's part stays as it is. Its variables then do not belong to the model.
      load_pretrained: False where all trainable variables will be set from a checkpoint; then
        pretrained weights are read only if they are frozen.

    Returns:
      A model from `[N, H, W, C]` to logits `[N, num_classes]`.

    Raises:
      ValueError: The images have neither 1 nor 3 channels.
      RunError: The weights cannot be downloaded or read.
    """
    if image_shape[2] not in (1, 3):
        raise ValueError(f"the images must have 1 or 3 channels, got {image_shape[2]}.")
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
          freeze: Whether its variables are hidden from training and from checkpoints.
          moving: Whether batch norms use the statistics of the batch in training. That is for
            new weights; learned statistics are better than those of small batches.
          rng: Random generator of new weights.
        """
        super().__init__()
        base = application(tf.keras.applications.InceptionResNetV2, weights, top=False)
        base.trainable = not freeze
        if weights == NONE:
            for layer in base.layers:
                if isinstance(layer, tf.keras.layers.Conv2D):
                    layer.kernel.value.assign(he_normal(layer.kernel.shape, rng))
        self._base, self._moving = base, moving
        self.frozen = False  # if so, all batch norms keep their statistics
        if not freeze:
            self.layers = _by_layer(base)

    def __call__(
        self, x: tf.Tensor, *, training: bool = False, seed: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Maps `[N, H, W, 1 or 3]` to `[N, 1536]`.

        Args:
          x: Images standardized by the mean and deviation of ImageNet, or each by its own,
            which is close. Images with a side below 75 pixels are enlarged.
          training: As for all layers.
          seed: Not needed.
        """
        size = [max(side, LEAST_SIDE) for side in x.shape[1:3]]
        if list(x.shape[1:3]) != size:
            x = tf.image.resize(x, size)
        if x.shape[3] == 1:
            x = tf.repeat(x, 3, axis=3)
        x = 2 * (x * DEVIATION + MEAN) - 1  # Keras's weights want [-1, 1]
        return self._base(x, training=training and self._moving and not self.frozen)


def _by_layer(base: tf.keras.Model) -> dict[str, dict[str, tf.Variable]]:
    """Lists variables by layer, numbered anew; Keras's own numbers depend on earlier models."""
    result: dict[str, dict[str, tf.Variable]] = {}
    for layer in base.layers:
        if layer.weights:
            kind = type(layer).__name__.lower()
            result[f"{kind}{len(result) + 1}"] = {v.name: v.value for v in layer.weights}
    return result
