"""Loss functions, which return the loss of each example.

Labels are class indices `[N]`, or shares of every class `[N, classes]` that sum to 1, as mixup
and CutMix make them. The losses of `multilabel` take `[N, classes]` of images with several labels,
each share in [0, 1].
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import tensorflow as tf

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
LEAST = 1e-37  # a float32 above 0: powers of 0 have infinite gradients, or none


def cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Softmax cross entropy.

    Args:
      labels: `[N]` integers in [0, classes), or `[N, classes]`.
      logits: `[N, classes]`.

    Returns:
      `[N]`, in nats.
    """
    if len(labels.shape) == 1:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def kl_divergence(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Kullback-Leibler divergence of the softmax from the labels.

    It is the cross entropy minus the entropy of the labels, so both have the same gradient, and
    are equal for labels that give one class all of the share.

    Args:
      labels: `[N]` integers in [0, classes), or `[N, classes]`.
      logits: `[N, classes]`.

    Returns:
      `[N]`, in nats, at least 0.
    """
    shares = shares_of(labels, logits)
    entropy = -tf.reduce_sum(tf.math.xlogy(shares, shares), -1)
    return cross_entropy(labels, logits) - entropy


def binary_cross_entropy(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Binary cross entropy of each class with a sigmoid of its own, averaged over the classes.

    Args:
      labels: `[N]` integers in [0, classes), or `[N, classes]`, each in [0, 1].
      logits: `[N, classes]`.

    Returns:
      `[N]`, in nats.

    Source: Wightman et al., "ResNet strikes back", 2021, arxiv.org/abs/2110.00476.
    """
    shares = shares_of(labels, logits)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(shares, logits), -1)


def focal(labels: tf.Tensor, logits: tf.Tensor, *, gamma: float = 2.0) -> tf.Tensor:
    """Focal loss: a cross entropy in which each class counts by `(1 - p) ** gamma`.

    p is the probability that the softmax gives to that class, so what the model already knows
    hardly counts. Labels that are shares give the sum over the classes of share times focal loss.

    Args:
      labels: `[N]` integers in [0, classes), or `[N, classes]`.
      logits: `[N, classes]`.
      gamma: How much less easy examples count, at least 0; 0 gives the cross entropy.

    Returns:
      `[N]`, in nats.

    Source: Lin et al., "Focal Loss for Dense Object Detection", 2017, arxiv.org/abs/1708.02002;
    with a softmax in place of its sigmoids.
    """
    logs = tf.nn.log_softmax(logits)  # [N, classes]
    others = tf.maximum(-tf.math.expm1(logs), LEAST)  # 1 - p
    return -tf.reduce_sum(shares_of(labels, logits) * others**gamma * logs, -1)


def multilabel(
    name: str,
    *,
    focal_gamma: float = 2.0,
    smoothing: float = 0.0,
    weights: Sequence[float] | None = None,
) -> Loss:
    """Makes a loss for images with several labels.

    Args:
      name: "binary" or "focal".
      focal_gamma: Gamma of the focal loss.
      smoothing: How far each label is moved towards a half: 1 becomes `1 - smoothing / 2`, and 0
        becomes `smoothing / 2`, as in Keras.
      weights: `[classes]`, by which the loss of a class is multiplied where an image has it, as
        PyTorch's `pos_weight`; None for 1.

    Raises:
      ValueError: The name is that of another loss, which needs labels that sum to 1.

    Source: Lin et al., "Focal Loss for Dense Object Detection", 2017, arxiv.org/abs/1708.02002, for
    the focal loss of each class with a sigmoid of its own, averaged over the classes.
    """
    if name not in ("binary", "focal"):
        raise ValueError(f"name must be binary or focal for several labels an image, got {name!r}.")
    gamma = focal_gamma if name == "focal" else 0.0

    def of_several(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        shares = shares_of(labels, logits) * (1 - smoothing) + smoothing / 2
        positive = tf.constant(1.0 if weights is None else weights, logits.dtype)
        return tf.reduce_mean(_binary_terms(shares, logits, gamma, positive), -1)

    return of_several


def _binary_terms(
    shares: tf.Tensor, logits: tf.Tensor, gamma: float, positive: tf.Tensor | float
) -> tf.Tensor:
    """The loss of each image and class, `[N, classes]`; `positive` weighs that of a label."""
    has, has_not = -tf.nn.softplus(-logits), -tf.nn.softplus(logits)  # logs of p and of 1 - p
    if gamma:
        has, has_not = has * tf.exp(gamma * has_not), has_not * tf.exp(gamma * has)
    return -(positive * shares * has + (1 - shares) * has_not)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "kl": kl_divergence,
    "binary": binary_cross_entropy,
    "focal": focal,
}


def named(name: str, *, focal_gamma: float = 2.0) -> Loss:
    """Finds a loss by its name.

    Args:
      name: One of `LOSSES`.
      focal_gamma: Gamma of the focal loss.

    Raises:
      ValueError: There is no such loss.
    """
    if name not in LOSSES:
        raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {name!r}.")
    if name == "focal":
        return functools.partial(focal, gamma=focal_gamma)
    return LOSSES[name]


def weighted(loss: Loss, weights: Sequence[float] | None) -> Loss:
    """Multiplies the loss of each example by the weight of its class.

    An example whose label is shares of several classes has the mean of their weights by share.

    Args:
      loss: The loss, with label smoothing in it if there is any, which then does not count.
      weights: `[classes]`; None for a weight of 1 for every class.
    """
    if weights is None:
        return loss

    def of_weighted(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        of_class = tf.constant(weights, logits.dtype)
        if len(labels.shape) == 1:
            of_example = tf.gather(of_class, labels)  # [N]
        else:
            of_example = tf.linalg.matvec(shares_of(labels, logits), of_class)  # [N]
        return of_example * loss(labels, logits)

    return of_weighted


def smoothed(loss: Loss, smoothing: float) -> Loss:
    """Adds label smoothing to a loss: a share of each label is spread evenly over all classes.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015,
    arxiv.org/abs/1512.00567.
    """
    if not smoothing:
        return loss

    def of_smoothed(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        shares = shares_of(labels, logits)
        return loss(shares * (1 - smoothing) + smoothing / logits.shape[-1], logits)

    return of_smoothed


def shares_of(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Converts labels to shares `[N, classes]` of the logits' type."""
    if len(labels.shape) == 1:
        return tf.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return tf.cast(labels, logits.dtype)
