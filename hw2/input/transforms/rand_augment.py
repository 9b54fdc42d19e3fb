"""RandAugment: a few of fourteen operations, drawn at random, all of one magnitude."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from hw2.input.transforms import augment

_SALT = 100  # differs from the salts of `augment`
LARGEST = 10  # the magnitude at which the ranges below are reached
# At magnitude 10, as in the reference implementation of AutoAugment, github.com/tensorflow/tpu.
DEGREES, SHEAR, TRANSLATE, ENHANCE = 30.0, 0.3, 0.45, 0.9
LUMA = (0.299, 0.587, 0.114)  # Rec. 601


def rand_augment(
    image: tf.Tensor, seed: tf.Tensor, *, operations: int, magnitude: float, fill: float = 0
) -> tf.Tensor:
    """Applies random operations to an image, one after another.

    Args:
      image: float32 `[h, w, c]`, c 1 or 3; levels are rounded and clipped to 0 to 255 first.
      seed: `[2]` integers.
      operations: Number of operations to draw from `OPERATIONS`, with repetition.
      magnitude: Strength of all operations, in [0, 10].
      fill: Level of pixels from outside the image.

    Returns:
      `[h, w, c]`, levels from 0 to 255.

    Source: Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced
    search space", 2019, arxiv.org/abs/1909.13719.
    """
    image = _levels(image)
    shape = image.shape
    strength = magnitude / LARGEST
    functions = list(OPERATIONS.values())
    for number in range(operations):
        own = tf.random.experimental.stateless_fold_in(tf.cast(seed, tf.int64), _SALT + number)
        draws = tf.random.stateless_uniform([2], own)
        chosen = tf.cast(draws[0] * len(functions), tf.int32)
        signed = tf.where(draws[1] < 0.5, -strength, strength)

        def branch(function: Callable, image=image, signed=signed) -> Callable[[], tf.Tensor]:
            return lambda: tf.ensure_shape(_levels(function(image, signed, fill)), shape)

        image = tf.switch_case(chosen, [branch(function) for function in functions])
        image = tf.ensure_shape(image, shape)
    return image


def identity(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Changes nothing."""
    return image


def auto_contrast(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Stretches the levels of each channel to the range from 0 to 255."""
    low, high = tf.reduce_min(image, (0, 1)), tf.reduce_max(image, (0, 1))
    stretched = (image - low) * tf.math.divide_no_nan(255.0, high - low)
    return tf.where(high > low, tf.floor(stretched + 1e-4), image)  # Pillow cuts off


def equalize(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Equalizes the histogram of each channel."""
    channels = tf.unstack(tf.cast(image, tf.int32), image.shape[2], axis=2)
    return tf.cast(tf.stack([_equalized(channel) for channel in channels], axis=2), tf.float32)


def rotate(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Rotates by up to 30 degrees."""
    return augment.transformed(image, angle=strength * math.radians(DEGREES), fill=fill)


def solarize(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Inverts levels above a threshold, from 256 at strength 0 to 0 at strength 1."""
    return tf.where(image < 256 * (1 - tf.abs(strength)), image, 255 - image)


def posterize(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Reduces levels to 8 to 4 bits."""
    step = 2.0 ** tf.round(4 * tf.abs(strength))
    return tf.floor(image / step) * step


def color(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Blends colours with their grey, or away from it."""
    return _blended(_luma(image), image, strength)


def contrast(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Blends levels with the mean grey of the image, or away from it."""
    return _blended(tf.floor(tf.reduce_mean(_luma(image)) + 0.5), image, strength)


def brightness(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Blends levels with black, or away from it."""
    return _blended(0.0, image, strength)


def sharpness(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Blends levels with those of a smoothed image, or away from them, except at the border."""
    kernel = tf.constant([[1, 1, 1], [1, 5, 1], [1, 1, 1]], tf.float32) / 13
    kernel = tf.tile(kernel[:, :, None, None], [1, 1, image.shape[2], 1])
    padded = tf.pad(image, [[1, 1], [1, 1], [0, 0]])
    smooth = tf.nn.depthwise_conv2d(padded[None], kernel, [1, 1, 1, 1], "VALID")[0]
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    inner = tf.pad(tf.ones([height - 2, width - 2, 1], tf.bool), [[1, 1], [1, 1], [0, 0]])
    return _blended(tf.where(inner, tf.round(smooth), image), image, strength)


def shear_x(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Shears horizontally: shifts rows in proportion to their distance from the middle."""
    return augment.transformed(image, shear=(0.0, SHEAR * strength), fill=fill)


def shear_y(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Shears vertically: shifts columns in proportion to their distance from the middle."""
    return augment.transformed(image, shear=(SHEAR * strength, 0.0), fill=fill)


def translate_x(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Shifts horizontally by up to 45 percent of the width."""
    width = tf.cast(tf.shape(image)[1], tf.float32)
    return augment.transformed(image, shift=(0.0, TRANSLATE * strength * width), fill=fill)


def translate_y(image: tf.Tensor, strength: tf.Tensor, fill: float) -> tf.Tensor:
    """Shifts vertically by up to 45 percent of the height."""
    height = tf.cast(tf.shape(image)[0], tf.float32)
    return augment.transformed(image, shift=(TRANSLATE * strength * height, 0.0), fill=fill)


OPERATIONS = {
    function.__name__: function
    for function in (
        identity,
        auto_contrast,
        equalize,
        rotate,
        solarize,
        color,
        posterize,
        contrast,
        brightness,
        sharpness,
        shear_x,
        shear_y,
        translate_x,
        translate_y,
    )
}


def _levels(image: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(tf.round(image), 0, 255)


def _blended(base: tf.Tensor | float, image: tf.Tensor, strength: tf.Tensor) -> tf.Tensor:
    return base + (1 + ENHANCE * strength) * (image - base)


def _luma(image: tf.Tensor) -> tf.Tensor:
    """Returns the rounded grey level of each pixel, `[h, w, 1]`."""
    if image.shape[2] == 1:
        return image
    return tf.round(tf.reduce_sum(image * LUMA, axis=2, keepdims=True))


def _equalized(channel: tf.Tensor) -> tf.Tensor:
    """Equalizes a channel by the same table as Pillow's `ImageOps.equalize`."""
    histogram = tf.math.bincount(tf.reshape(channel, [-1]), minlength=256, maxlength=256)
    last = histogram[tf.reduce_max(channel)]
    step = (tf.reduce_sum(histogram) - last) // 255
    below = tf.cumsum(histogram, exclusive=True)
    table = tf.minimum((step // 2 + below) // tf.maximum(step, 1), 255)
    return tf.where(step > 0, tf.gather(table, channel), channel)
