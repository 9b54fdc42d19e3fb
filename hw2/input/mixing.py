"""Soft labels, and batches in which pictures are mixed in pairs.

Row `2i` is mixed with row `2i + 1`: training draws its order at random, so the neighbour is as
good as any. Shares are drawn for the whole batch, so a worker that holds a part of it mixes as
one that holds all of it does.
"""

from __future__ import annotations

import tensorflow as tf


def soft(labels: tf.Tensor, classes: int, *, smoothing: float = 0.0) -> tf.Tensor:
    """Spreads `smoothing` evenly over all classes, the rest stays on the label.

    Args:
      labels: `[N]` integers.
      classes: How many there are.
      smoothing: In [0, 1).

    Returns:
      float32 `[N, classes]`, each row with sum 1.

    Source: Szegedy et al., "Rethinking the Inception Architecture", 2015, arxiv.org/abs/1512.00567.
    """
    return tf.one_hot(labels, classes, 1 - smoothing + smoothing / classes, smoothing / classes)


def mixup(
    images: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    alpha: float,
    first: int = 0,
    of: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Replaces each of a pair by a weighted mean of both, and its label too.

    Args:
      images: float32 `[N, h, w, c]`, N even.
      labels: float32 `[N, classes]`.
      seed: `[2]` integers.
      alpha: Shares are drawn from Beta(alpha, alpha): small keeps one of the two, 1 is uniform.
      first: Where in the whole batch these rows begin, an even number.
      of: Rows of the whole batch; N by default.

    Returns:
      Images and labels of the same shapes.

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2017,
    arxiv.org/abs/1710.09412.
    """
    share = _shares(seed, alpha, images.shape[0], first, of)  # [N]
    return _mixed(images, share[:, None, None, None]), _mixed(labels, share[:, None])


def cutmix(
    images: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    alpha: float,
    first: int = 0,
    of: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Puts a rectangle of the other picture of the pair in place of the picture's own.

    Labels are shared by area. Arguments and returns are those of `mixup`.

    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers", 2019,
    arxiv.org/abs/1905.04899.
    """
    count, height, width, _ = images.shape
    share = _shares(seed, alpha, count, first, of)
    places = _pairwise(
        tf.random.stateless_uniform([(of or count) // 2, 2], _fold(seed, 1)), count, first
    )
    side = tf.sqrt(1 - share)  # of the rectangle, for a side of 1
    rows = _inside(places[:, 0], side, height)  # [N, h]
    columns = _inside(places[:, 1], side, width)  # [N, w]
    inside = rows[:, :, None] & columns[:, None, :]
    kept = 1 - tf.reduce_mean(tf.cast(inside, tf.float32), (1, 2))
    images = tf.where(inside[..., None], _other(images), images)
    return images, _mixed(labels, kept[:, None])


def either(
    images: tf.Tensor,
    labels: tf.Tensor,
    seed: tf.Tensor,
    *,
    mixup_alpha: float,
    cutmix_alpha: float,
    first: int = 0,
    of: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Does mixup or cutmix to a whole batch, each as often where both alphas are above 0."""
    rows = {"first": first, "of": of}
    if not cutmix_alpha:
        return mixup(images, labels, seed, alpha=mixup_alpha, **rows)
    if not mixup_alpha:
        return cutmix(images, labels, seed, alpha=cutmix_alpha, **rows)
    return tf.cond(
        tf.random.stateless_uniform([], _fold(seed, 2)) < 0.5,
        lambda: mixup(images, labels, seed, alpha=mixup_alpha, **rows),
        lambda: cutmix(images, labels, seed, alpha=cutmix_alpha, **rows),
    )


def _shares(seed: tf.Tensor, alpha: float, count: int, first: int, of: int | None) -> tf.Tensor:
    """What each row keeps of itself, `[count]`, the same for both of a pair."""
    pairs = (of or count) // 2
    a, b = tf.unstack(tf.random.stateless_gamma([2, pairs], _fold(seed, 0), alpha))
    share = tf.where(a + b > 0, tf.math.divide_no_nan(a, a + b), 1.0)  # Beta(alpha, alpha)
    return _pairwise(share, count, first)


def _pairwise(values: tf.Tensor, count: int, first: int) -> tf.Tensor:
    """From a value for each pair of the whole batch to one for each of `count` rows."""
    if count % 2 or first % 2:
        raise ValueError(f"pairs must be whole, got {count} rows from row {first} on.")
    return tf.repeat(values[first // 2 : (first + count) // 2], 2, axis=0)


def _other(values: tf.Tensor) -> tf.Tensor:
    """Swaps the two of each pair."""
    pairs = tf.reshape(values, [values.shape[0] // 2, 2, *values.shape[1:]])
    return tf.reshape(tf.reverse(pairs, [1]), values.shape)


def _mixed(values: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
    return share * values + (1 - share) * _other(values)


def _inside(place: tf.Tensor, side: tf.Tensor, size: int) -> tf.Tensor:
    """Whether each of `size` pixels lies in a stretch about a centre, `[N, size]`."""
    low, high = (
        tf.clip_by_value(tf.round((place + s * side / 2) * size), 0, size) for s in (-1, 1)
    )
    pixels = tf.range(size, dtype=tf.float32)
    return (pixels >= low[:, None]) & (pixels < high[:, None])


def _fold(seed: tf.Tensor, salt: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int64), salt)
