"""Mixup and CutMix: images of a batch mixed in pairs, and their labels with them.

Row `2i` is mixed with row `2i + 1`; any pairing would do, since training shuffles its images. The
random numbers depend only on the seed and on the row's position in the whole batch, so a machine
that holds some of the rows mixes them exactly as one that holds all of them.
"""

from __future__ import annotations

import tensorflow as tf

_SHARE, _PLACE, _CHOICE = range(3)  # salts of the random numbers


def mixed(
    images: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    mixup_alpha: float = 0.0,
    cutmix_alpha: float = 0.0,
    first: tf.Tensor | int = 0,
    batch_size: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Applies mixup or CutMix to a batch; if both are on, each to half of the batches.

    Args:
      images: float32 `[N, h, w, c]`, N even.
      labels: float32 `[N, classes]`.
      seed: `[2]` integers.
      mixup_alpha: Alpha of `mixup`; 0 for never.
      cutmix_alpha: Alpha of `cutmix`; 0 for never.
      first: Row of the whole batch at which these begin, an even number.
      batch_size: Number of rows in the whole batch; N by default.

    Returns:
      Images and labels of the same shapes.

    Raises:
      ValueError: N or `batch_size` is odd.
    """
    if images.shape[0] % 2 or (batch_size or 0) % 2:
        raise ValueError(f"rows must be an even number, got {images.shape[0]} of {batch_size}.")
    batch_size = batch_size or images.shape[0]

    def by(function, alpha):
        share = _shares(seed, alpha, batch_size)
        return lambda: function(images, labels, seed, share, first)

    if not cutmix_alpha:
        return by(_mixup, mixup_alpha)() if mixup_alpha else (images, labels)
    if not mixup_alpha:
        return by(_cutmix, cutmix_alpha)()
    even = tf.random.stateless_uniform([], _fold(seed, _CHOICE)) < 0.5
    return tf.cond(even, by(_mixup, mixup_alpha), by(_cutmix, cutmix_alpha))


def mixup(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, *, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replaces both images of a pair by weighted means of the two, and their labels too.

    Weights are drawn from Beta(alpha, alpha): with a small alpha one of the two images nearly
    always dominates, with alpha 1 all weights are equally likely. Each image keeps the larger
    weight in its own row, which only affects the order of the two. Arguments and returns are
    those of `mixed`.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2017,
    arxiv.org/abs/1710.09412.
    """
    return mixed(images, labels, seed, mixup_alpha=alpha)


def cutmix(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, *, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Swaps one rectangle between the two images of a pair; labels are mixed by area.

    The rectangle has the aspect of the image and a random centre, and is cut off at the edges.
    Its area before that is drawn from Beta(alpha, alpha). Arguments and returns are those of
    `mixed`.

    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
    Localizable Features", 2019, arxiv.org/abs/1905.04899.
    """
    return mixed(images, labels, seed, cutmix_alpha=alpha)


def _mixup(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, share: tf.Tensor, first: tf.Tensor | int
) -> tuple[tf.Tensor, tf.Tensor]:
    share = _rows(tf.maximum(share, 1 - share), images.shape[0], first)  # [N]
    return _blended(images, share[:, None, None, None]), _blended(labels, share[:, None])


def _cutmix(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, share: tf.Tensor, first: tf.Tensor | int
) -> tuple[tf.Tensor, tf.Tensor]:
    count, height, width, _ = images.shape
    place = tf.random.stateless_uniform([share.shape[0], 2], _fold(seed, _PLACE))
    side, place = _rows(tf.sqrt(1 - share), count, first), _rows(place, count, first)
    rows = _inside(place[:, 0], side, height)  # [N, h]
    columns = _inside(place[:, 1], side, width)  # [N, w]
    inside = rows[:, :, None] & columns[:, None, :]  # [N, h, w]
    kept = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), (1, 2))
    images = tf.where(inside[..., None], _other(images), images)
    return images, _blended(labels, kept[:, None])


def _shares(seed: tf.Tensor, alpha: float, batch_size: int) -> tf.Tensor:
    """Draws the weight that images of each pair keep, Beta(alpha, alpha), `[batch_size / 2]`."""
    a, b = tf.unstack(tf.random.stateless_gamma([2, batch_size // 2], _fold(seed, _SHARE), alpha))
    return tf.where(a + b > 0, tf.math.divide_no_nan(a, a + b), 1.0)  # small alphas give 0 and 0


def _rows(pairs: tf.Tensor, count: int, first: tf.Tensor | int) -> tf.Tensor:
    """Selects the rows here, `[count, ...]`, from values of all pairs, `[batch_size / 2, ...]`."""
    start = tf.cast(first // 2, tf.int32)
    return tf.repeat(tf.gather(pairs, start + tf.range(count // 2)), 2, axis=0)


def _other(values: tf.Tensor) -> tf.Tensor:
    """Swaps the two rows of each pair."""
    pairs = tf.reshape(values, [values.shape[0] // 2, 2, *values.shape[1:]])
    return tf.reshape(tf.reverse(pairs, [1]), values.shape)


def _blended(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return share * values + (1 - share) * _other(values)


def _inside(place: tf.Tensor, side: tf.Tensor, size: int) -> tf.Tensor:
    """Whether each of `size` pixels lies in an interval about a centre; in [0, 1], `[N, size]`."""
    low, high = (tf.round((place + sign * side / 2) * size)[:, None] for sign in (-1, 1))
    pixels = tf.range(size, dtype=tf.float32)
    return (pixels >= low) & (pixels < high)


def _fold(seed: tf.Tensor, salt: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int64), salt)
