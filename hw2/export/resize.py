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


def square(
    image: tf.Tensor,
    side: int,
    whole: tf.Tensor | None = None,
    *,
    fit: str = "crop",
    fill: int = 0,
) -> tf.Tensor:
    """Scales an image to a square as `fit` says; "crop" takes the middle of a longer image.

    Args:
      image: uint8 `[h, w, c]`; h and w may be unknown.
      side: The side of the square, in pixels.
      whole: `[2]`, the full height and width if the image was decoded at a fraction of its size;
        they determine the aspect ratio. By default h and w.
      fit: "crop", "pad" or "stretch", as in `hw2.input.files.frame`.
      fill: The level that "pad" fills with.

    Returns:
      uint8 `[side, side, c]`.

    Cost: `3 * side * h * w * c` multiply-adds in float32.
    """
    size, channels = tf.shape(image)[:2], image.shape[2]
    whole = size if whole is None else whole
    scaled = _scaled(whole, side, fit)
    tall = tf.constant(False)
    if ROWS_FIRST:
        fewer = size - scaled
        tall = (fewer[0] > 0) & (fewer[0] > 2 * fewer[1])
    # Columns first, then rows, each rounded to whole levels; of a tall picture as if it lay.
    image = _laid(image, tall)
    size, scaled = (tf.where(tall, tf.gather(pair, [1, 0]), pair) for pair in (size, scaled))
    image = tf.transpose(image, [1, 0, 2])  # [w, h, c]
    image = tf.reshape(image, [size[1], size[0] * channels])
    across = _places(scaled[1], side, fit)
    image = _product(_weights(size[1], scaled[1], across), image)  # [side, h*c]
    image = tf.reshape(image, [side, size[0], channels])
    image = tf.transpose(image, [1, 0, 2])  # [h, side, c]
    image = tf.reshape(image, [size[0], side * channels])
    down = _places(scaled[0], side, fit)
    image = _product(_weights(size[0], scaled[0], down), image)  # [side, side*c]
    image = tf.reshape(image, [side, side, channels])
    if fit == "pad":
        inside = _inside(down, scaled[0])[:, None, None] & _inside(across, scaled[1])[:, None]
        image = tf.where(inside, image, fill)
    image = _laid(image, tall)
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


def _scaled(whole: tf.Tensor, side: int, fit: str) -> tf.Tensor:
    """The height and width to which an image is scaled, as `frame.scaled` has them."""
    if fit == "stretch":
        return tf.constant([side, side])
    by = (tf.maximum if fit == "pad" else tf.minimum)(whole[0], whole[1])
    scaled = (2 * whole * side + by) // (2 * by)
    return tf.maximum(scaled, 1) if fit == "pad" else scaled


def _places(scaled: tf.Tensor, side: int, fit: str) -> tf.Tensor:
    """`[side]`: which pixel of a scaled axis is at each place; beyond it those of padding are."""
    if fit == "stretch":
        return tf.range(side)
    if fit == "pad":
        return tf.range(side) - (side - scaled) // 2  # as `frame.before`
    return (scaled - side) // 2 + tf.range(side)


def _inside(places: tf.Tensor, scaled: tf.Tensor) -> tf.Tensor:
    """Which places are of the image, and not of its padding."""
    return (places >= 0) & (places < scaled)


def _weights(length: tf.Tensor, scaled: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
    """`[side, length]` whole weights of the old pixels of an axis at places of the scaled one.

    A triangle about the centre of each new pixel, over its sum, times 2**BITS, rounded. Division
    goes digit by digit, for nothing to leave 32 bits.
    """
    new = tf.minimum(tf.maximum(places, 0), scaled - 1)  # padding is filled later
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
