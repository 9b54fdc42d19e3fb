"""Scaling as sums of products of whole numbers, which every runtime does alike.

`square` is Pillow's bilinear `resize` of `hw2.input.decode`, bit for bit; `levels` is the scaling
of `hw2.input.preprocess`.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

BITS = 22  # of Pillow's weights behind the point, its Resample.c


def square(image: tf.Tensor, side: int, whole: tf.Tensor | None = None) -> tf.Tensor:
    """Scales a picture to a short side, and takes the central square.

    Args:
      image: uint8 `[h, w, c]`; h and w may be unknown.
      side: Of the square, in pixels.
      whole: Height and width that the picture had before it was decoded at a part of its size;
        `decode.scaled` goes by them.

    Returns:
      uint8 `[side, side, c]`.

    Cost: `3 * side * h * w * c` multiply-adds in float32.
    """
    size = tf.shape(image)
    whole = size[:2] if whole is None else whole
    channels = image.shape[2]
    # Where Pillow 13 shrinks a picture twice as high as wide, it makes the rows first.
    rows_first = (size[0] > 2 * size[1]) & (size[1] > side)
    order = tf.where(rows_first, [1, 0, 2], [0, 1, 2])
    image = tf.transpose(image, order)
    size, whole = tf.gather(size, order), tf.gather(whole, order[:2])
    # Columns first, then rows, each rounded to whole levels.
    image = tf.transpose(image, [1, 0, 2])  # [w, h, c]
    image = tf.reshape(image, [size[1], size[0] * channels])
    image = _product(_weights(size[1], whole[1], tf.reduce_min(whole), side), image)  # [side, h*c]
    image = tf.reshape(image, [side, size[0], channels])
    image = tf.transpose(image, [1, 0, 2])  # [h, side, c]
    image = tf.reshape(image, [size[0], side * channels])
    image = _product(
        _weights(size[0], whole[0], tf.reduce_min(whole), side), image
    )  # [side, side*c]
    image = tf.transpose(tf.reshape(image, [side, side, channels]), order)
    return tf.cast(tf.reshape(image, [side, side, channels]), tf.uint8)


def levels(image: tf.Tensor, side: int) -> tf.Tensor:
    """Scales a square `[s, s, c]` to float32 `[side, side, c]`: by area, or growing bilinearly."""
    old, channels = image.shape[0], image.shape[2]
    image = tf.cast(image, tf.float32)
    if old == side:
        return image
    weights = tf.constant(_area(old, side) if side < old else _bilinear(old, side))
    image = tf.matmul(weights, tf.reshape(image, [old, old * channels]))  # rows
    image = tf.transpose(tf.reshape(image, [side, old, channels]), [1, 0, 2])
    image = tf.matmul(weights, tf.reshape(image, [old, side * channels]))  # columns
    return tf.transpose(tf.reshape(image, [side, side, channels]), [1, 0, 2])


def _weights(length: tf.Tensor, whole: tf.Tensor, short: tf.Tensor, side: int) -> tf.Tensor:
    """`[side, length]` whole weights: the part of an axis that the central square takes.

    A triangle about the centre of each new pixel, over its sum, times 2**BITS, rounded. Division
    goes digit by digit, for nothing to leave 32 bits.
    """
    scaled = (2 * whole * side + short) // (2 * short)  # as `decode.scaled`
    new = (scaled - side) // 2 + tf.range(side)
    new, old = 2 * new[:, None] + 1, 2 * tf.range(length)[None, :] + 1
    heights = 2 * tf.maximum(length, scaled) - tf.abs(old * scaled - new * length)
    heights = tf.maximum(heights, 0)  # [side, length]
    total = tf.reduce_sum(heights, 1, keepdims=True)
    result, rest = 0, heights
    for bits in (6, 6, 5, 5):
        rest = rest * 2**bits
        digit = rest // total
        rest -= digit * total
        result = result * 2**bits + digit
    return result + tf.cast(2 * rest >= total, tf.int32)


def _product(weights: tf.Tensor, image: tf.Tensor) -> tf.Tensor:
    """`weights` over 2**BITS times levels, rounded: int32 `[side, n]`.

    Products of bytes are whole numbers below 2**24 up to 258 of them, so float32 is exact.
    """
    image = tf.cast(image, tf.float32)
    total = 2 ** (BITS - 1)
    for place in (2**16, 2**8, 1):
        digit = weights // place
        weights -= digit * place
        part = tf.matmul(tf.cast(digit, tf.float32), image)
        total += tf.cast(part, tf.int32) * place
    return total // 2**BITS


def _area(old: int, new: int) -> np.ndarray:
    """`[new, old]`: each new pixel is the mean of the old ones under it."""
    edges = np.arange(new + 1) * (old / new)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)
    overlap = np.minimum(high, pixel + 1) - np.maximum(low, pixel)
    return (np.maximum(overlap, 0) * (new / old)).astype(np.float32)


def _bilinear(old: int, new: int) -> np.ndarray:
    """`[new, old]`: between the centres of the two nearest old pixels."""
    place = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    weights = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(old)))
    return weights.astype(np.float32)
