"""Random changes of one image: pure functions of the image and a seed.

An image is float32 `[h, w, c]` with levels from 0 to 255, and a seed is `[2]` integers. The same
seed makes the same change, in eager code and within `Dataset.map`. Each function draws its own
random numbers from the seed, so that one seed serves all of them. Levels are not clipped, except
where the function says so.
"""

from __future__ import annotations

import math

import tensorflow as tf

# Which of the six numbers drawn from an image's seed each of these uses.
_SIDE, _TOP, _LEFT, _FLIP, _BRIGHTNESS, _CONTRAST = range(6)
# The others draw from their own seeds, folded from the image's with these salts.
_UP_DOWN, _AFFINE, _SATURATION, _HUE, _SALT, _ERASE, _CUTOUT = range(7)


def crop(image: tf.Tensor, seed: tf.Tensor, *, smallest: int, largest: int) -> tf.Tensor:
    """Crops a square of a random side in [smallest, largest] at a random position.

    Args:
      image: `[h, w, c]` of any dtype, no side shorter than `largest`.
      seed: `[2]` integers.
      smallest: Side of the smallest square, in pixels.
      largest: Side of the largest square, in pixels.

    Returns:
      `[side, side, c]`.
    """
    side = smallest
    if smallest < largest:
        side += _below(largest - smallest + 1, _first(seed, _SIDE))
    top = _below(tf.shape(image)[0] - side + 1, _first(seed, _TOP))
    left = _below(tf.shape(image)[1] - side + 1, _first(seed, _LEFT))
    return tf.slice(image, [top, left, 0], [side, side, image.shape[2]])


def flip_left_right(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors half of the images left to right."""
    return tf.where(_first(seed, _FLIP) < 0.5, tf.reverse(image, [1]), image)


def flip_up_down(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors half of the images top to bottom."""
    return tf.where(_own(seed, _UP_DOWN, 1)[0] < 0.5, tf.reverse(image, [0]), image)


def brightness(image: tf.Tensor, seed: tf.Tensor, *, delta: float) -> tf.Tensor:
    """Adds one number in [-delta, delta) to all levels."""
    return image + delta * (2 * _first(seed, _BRIGHTNESS) - 1)


def contrast(image: tf.Tensor, seed: tf.Tensor, *, low: float, high: float) -> tf.Tensor:
    """Scales the difference to each channel's mean by a factor in [low, high)."""
    factor = low + (high - low) * _first(seed, _CONTRAST)
    return tf.image.adjust_contrast(image, factor)


def saturation(image: tf.Tensor, seed: tf.Tensor, *, low: float, high: float) -> tf.Tensor:
    """Multiplies the saturation of colours by a factor in [low, high); grey stays as it is."""
    if image.shape[2] == 1:
        return image
    factor = low + (high - low) * _own(seed, _SATURATION, 1)[0]
    return 255 * tf.image.adjust_saturation(tf.clip_by_value(image, 0, 255) / 255, factor)


def hue(image: tf.Tensor, seed: tf.Tensor, *, delta: float) -> tf.Tensor:
    """Turns the hue of colours by up to `delta` of the whole circle; grey stays as it is."""
    if image.shape[2] == 1:
        return image
    turn = delta * (2 * _own(seed, _HUE, 1)[0] - 1)
    return 255 * tf.image.adjust_hue(tf.clip_by_value(image, 0, 255) / 255, turn)


def affine(
    image: tf.Tensor,
    seed: tf.Tensor,
    *,
    degrees: float = 0,
    fraction: float = 0,
    change: float = 0,
    fill: float = 0,
) -> tf.Tensor:
    """Rotates, scales and shifts at once, so that pixels are interpolated only once.

    Args:
      image: float32 `[h, w, c]`.
      seed: `[2]` integers.
      degrees: Largest rotation about the centre, either way.
      fraction: Largest shift, of height and width, each way.
      change: Largest relative enlargement, and reduction.
      fill: Level of pixels from outside the image.

    Returns:
      `[h, w, c]`, interpolated bilinearly; a shift alone is by whole pixels.
    """
    turn, zoom, down, right = tf.unstack(2 * _own(seed, _AFFINE, 4) - 1)
    height, width = (tf.cast(tf.shape(image)[axis], tf.float32) for axis in (0, 1))
    shift = down * fraction * height, right * fraction * width
    if not degrees and not change:
        shift = tuple(tf.round(pixels) for pixels in shift)  # small images stay sharp
    return transformed(
        image,
        angle=turn * math.radians(degrees),
        zoom=1 + zoom * change,
        shift=shift,
        fill=fill,
    )


def transformed(
    image: tf.Tensor,
    *,
    angle: tf.Tensor | float = 0.0,
    zoom: tf.Tensor | float = 1.0,
    shear: tuple[tf.Tensor | float, tf.Tensor | float] = (0.0, 0.0),
    shift: tuple[tf.Tensor | float, tf.Tensor | float] = (0.0, 0.0),
    fill: float = 0,
) -> tf.Tensor:
    """Applies one affine map to `[h, w, c]`, about the centre; not random.

    Args:
      image: float32 `[h, w, c]`.
      angle: In radians, counterclockwise as seen.
      zoom: Factor of enlargement.
      shear: Pixels down per pixel to the right, and pixels right per pixel down; one must be 0.
      shift: Pixels down and right.
      fill: Level of pixels from outside the image.
    """
    cos, sin = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    shape = tf.cast(tf.shape(image), tf.float32)
    middle_y, middle_x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    down, right = shear
    # From a place in the result to the place in the image, [x, y] = a @ [x, y] + b.
    a = [[cos - right * sin, -sin - right * cos], [sin - down * cos, cos + down * sin]]
    a = tf.convert_to_tensor(a)  # [2, 2]
    middle = tf.stack([middle_x, middle_y])
    moved = middle + tf.stack([tf.cast(shift[1], tf.float32), tf.cast(shift[0], tf.float32)])
    b = middle - tf.linalg.matvec(a, moved)
    row = tf.stack([a[0, 0], a[0, 1], b[0], a[1, 0], a[1, 1], b[1], 0.0, 0.0])
    result = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=row[tf.newaxis],
        output_shape=tf.shape(image)[:2],
        fill_value=tf.cast(fill, tf.float32),
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )[0]
    return tf.ensure_shape(result, image.shape)


def salt_and_pepper(image: tf.Tensor, seed: tf.Tensor, *, fraction: float) -> tf.Tensor:
    """Makes a fraction of the pixels white or black in all channels, half of them each."""
    shape = tf.shape(image)
    draws = tf.random.stateless_uniform([shape[0], shape[1], 1], _fold(seed, _SALT))
    image = tf.where(draws < fraction, 255.0, image)
    return tf.where(draws < fraction / 2, 0.0, image)


def erase(image: tf.Tensor, seed: tf.Tensor, *, probability: float, fill: float = 0) -> tf.Tensor:
    """Fills a random rectangle, of 2 to 33 percent of the area and of aspect 0.3 to 3.3.

    Args:
      image: float32 `[h, w, c]` of any range.
      seed: `[2]` integers.
      probability: Probability of erasing at all.
      fill: The value to fill with; 0 is the mean of a standardized image.

    Source: Zhong et al., "Random Erasing Data Augmentation", 2017, arxiv.org/abs/1708.04896.
    """
    draws = _own(seed, _ERASE, 5)
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    size = tf.cast(tf.stack([height, width]), tf.float32)
    area = (0.02 + 0.31 * draws[1]) * size[0] * size[1]
    aspect = tf.exp(math.log(0.3) + (math.log(3.3) - math.log(0.3)) * draws[2])
    sides = tf.minimum(tf.sqrt(area * tf.stack([aspect, 1 / aspect])), size)
    sides = tf.cast(tf.round(sides), tf.int32)
    top, left = _below(height - sides[0] + 1, draws[3]), _below(width - sides[1] + 1, draws[4])
    inside = _between(height, top, sides[0])[:, None] & _between(width, left, sides[1])[None, :]
    return tf.where(inside[..., None] & (draws[0] < probability), tf.cast(fill, image.dtype), image)


def cutout(image: tf.Tensor, seed: tf.Tensor, *, side: int, fill: float = 0) -> tf.Tensor:
    """Fills a square whose centre is any pixel, so that a part of it may lie outside.

    Args:
      image: float32 `[h, w, c]` of any range.
      seed: `[2]` integers.
      side: Of the square, in pixels.
      fill: The value to fill with; 0 is the mean of a standardized image.

    Source: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
    Cutout", 2017, arxiv.org/abs/1708.04552.
    """
    draws = _own(seed, _CUTOUT, 2)
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    top, left = _below(height, draws[0]) - side // 2, _below(width, draws[1]) - side // 2
    inside = _between(height, top, side)[:, None] & _between(width, left, side)[None, :]
    return tf.where(inside[..., None], tf.cast(fill, image.dtype), image)


def _between(size: tf.Tensor, start: tf.Tensor, length: tf.Tensor | int) -> tf.Tensor:
    places = tf.range(size)
    return (places >= start) & (places < start + length)


def _below(limit: tf.Tensor | int, draw: tf.Tensor) -> tf.Tensor:
    """Maps a number in [0, 1) to an integer in [0, limit)."""
    return tf.cast(draw * tf.cast(limit, tf.float32), tf.int32)


def _first(seed: tf.Tensor, place: int) -> tf.Tensor:
    """Returns one of six random numbers in [0, 1) of the seed itself; drawn once in a graph."""
    return tf.random.stateless_uniform([6], seed)[place]


def _own(seed: tf.Tensor, salt: int, count: int) -> tf.Tensor:
    """Draws random numbers in [0, 1), `[count]`, from a seed folded with a salt."""
    return tf.random.stateless_uniform([count], _fold(seed, salt))


def _fold(seed: tf.Tensor, salt: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int64), salt)
