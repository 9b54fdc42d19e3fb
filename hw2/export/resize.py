"""Image scaling in integer arithmetic, which every runtime computes identically.

`square` is Pillow's bilinear `resize` of `hw2.input.files.decode`, bit for bit; `levels` is the
scaling of `hw2.input.transforms.preprocess`.
"""

from __future__ import annotations

import numpy as np
import PIL
import tensorflow as tf

BITS = 22  # of Pillow's weights behind the point, its Resample.c
# Whether Pillow shrinks rows first, then columns, where the height loses more than twice what the
# width does; it always rounds in between. github.com/python-pillow/Pillow/pull/9549
ROWS_FIRST = int(PIL.__version__.split(".")[0]) >= 13


def square(image: tf.Tensor, side: int, whole: tf.Tensor | None = None) -> tf.Tensor:
    """Scales an image so that its shorter side is `side`, and crops the central square.

    Args:
      image: uint8 `[h, w, c]`; h and w may be unknown.
      side: The side of the square, in pixels.
      whole: `[2]`, the full height and width if the image was decoded at a fraction of its size;
        they determine the aspect ratio. By default h and w.

    Returns:
      uint8 `[side, side, c]`.

    Cost: `3 * side * h * w * c` multiply-adds in float32.
    """
    size, channels = tf.shape(image)[:2], image.shape[2]
    whole = size if whole is None else whole
    short = tf.minimum(whole[0], whole[1])
    scaled = (2 * whole * side + short) // (2 * short)  # as `decode.scaled`
    tall = tf.constant(False)
    if ROWS_FIRST:
        fewer = size - scaled
        tall = (fewer[0] > 0) & (fewer[0] > 2 * fewer[1])
    # Columns first, then rows, each rounded to whole levels; of a tall picture as if it lay.
    image = _laid(image, tall)
    size, scaled = (tf.where(tall, tf.gather(pair, [1, 0]), pair) for pair in (size, scaled))
    image = tf.transpose(image, [1, 0, 2])  # [w, h, c]
    image = tf.reshape(image, [size[1], size[0] * channels])
    image = _product(_weights(size[1], scaled[1], side), image)  # [side, h*c]
    image = tf.reshape(image, [side, size[0], channels])
    image = tf.transpose(image, [1, 0, 2])  # [h, side, c]
    image = tf.reshape(image, [size[0], side * channels])
    image = _product(_weights(size[0], scaled[0], side), image)  # [side, side*c]
    image = _laid(tf.reshape(image, [side, side, channels]), tall)
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


def _laid(image: tf.Tensor, tall: tf.Tensor) -> tf.Tensor:
    """Transposes `[h, w, c]` if `tall`, without a branch, which int8 cannot calibrate."""
    height, width, channels = tf.shape(image)[0], tf.shape(image)[1], image.shape[2]
    place = tf.range(height * width)
    turned = place % height * width + place // height
    image = tf.gather(tf.reshape(image, [-1, channels]), tf.where(tall, turned, place))
    shape = tf.where(tall, tf.stack([width, height]), tf.stack([height, width]))
    return tf.reshape(image, [shape[0], shape[1], channels])


def _weights(length: tf.Tensor, scaled: tf.Tensor, side: int) -> tf.Tensor:
    """`[side, length]` whole weights: the middle of an axis that is scaled from length to scaled.

    A triangle about the centre of each new pixel, over its sum, times 2**BITS, rounded. Division
    goes digit by digit, for nothing to leave 32 bits.
    """
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
