"""Preprocessing of an image between its file and the model, in training and in evaluation."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from hw2.input.transforms import augment
from hw2.input.transforms.rand_augment import LARGEST, rand_augment

FITS = ("crop", "pad", "stretch")
STANDARDS = ("image", "channel", "given", "none")
STATISTICS = {  # mean and deviation of red, green and blue in [0, 1], by name
    # ImageNet's training images, as given by github.com/pytorch/vision.
    "imagenet": {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]},
}


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Sizes and random changes; saved beside the weights, so that prediction does the same.

    Attributes:
      image_size: Side of the square that the model sees, in pixels.
      channels: Channels that the model sees, 1 or 3; grey is repeated, colour becomes luma.
      short_side: Short side of a loaded image, and side of the largest square crop.
      fit: What becomes of the aspect when an image is loaded: "crop" keeps it, and the middle is
        seen; "pad" keeps it and fills the rest with `fill`, and "stretch" does not keep it, so
        that the whole is loaded as a square of `short_side`.
      crop_size: Side of the smallest crop, to which every crop is scaled. If it equals
        `short_side`, cropping is not random but central, as in evaluation.
      flip: Whether half of the images are mirrored left to right.
      brightness: Largest number added to all levels, of 255.
      contrast_min: Smallest factor on the difference to the channel's mean.
      contrast_max: Largest such factor.
      flip_up_down: Whether half of the images are mirrored top to bottom.
      shift: Largest shift either way, as a fraction of height and width.
      rotation: Largest rotation in degrees, either way.
      scale: Largest relative enlargement, and reduction.
      fill: Level of pixels from outside the image, in [0, 255].
      saturation_min: Smallest factor on the saturation of colours.
      saturation_max: Largest such factor.
      hue: Largest rotation of the hue, as a fraction of the circle, in [0, 0.5].
      salt_and_pepper: Fraction of the pixels that become white or black.
      rand_augment: Number of RandAugment operations on each image.
      rand_augment_magnitude: Their magnitude, in [0, 10].
      erasing: Probability that a rectangle is erased.
      cutout: Side of a square that is erased, in pixels of `image_size`; 0 for none.
      standardize: What is brought to mean 0 and deviation 1: each "image", each "channel" of
        each image, or levels over 255 by the "given" mean and deviation. "none" only divides by
        255.
      mean: The given mean of levels over 255, one number or one for each channel.
      deviation: The given standard deviation, likewise.

    Raises:
      ValueError: A field is out of range.
    """

    image_size: int
    channels: int
    short_side: int
    crop_size: int
    flip: bool
    brightness: float
    contrast_min: float
    contrast_max: float
    flip_up_down: bool = False
    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    fill: float = 0.0
    saturation_min: float = 1.0
    saturation_max: float = 1.0
    hue: float = 0.0
    salt_and_pepper: float = 0.0
    rand_augment: int = 0
    rand_augment_magnitude: float = 9.0
    erasing: float = 0.0
    cutout: int = 0
    standardize: str = "image"
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    fit: str = "crop"

    def __post_init__(self) -> None:
        for name in ("image_size", "short_side", "crop_size"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1, got {value!r}.")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {self.channels!r}.")
        if self.crop_size > self.short_side:
            raise ValueError(
                f"crop_size must not exceed short_side, got {self.crop_size} > {self.short_side}."
            )
        if not 0 <= self.brightness <= 255:
            raise ValueError(f"brightness must be in [0, 255], got {self.brightness}.")
        if not 0 <= self.contrast_min <= self.contrast_max < math.inf:
            raise ValueError(
                "contrast must be a range of numbers that are at least 0, got "
                f"{self.contrast_min} to {self.contrast_max}."
            )
        if not 0 <= self.saturation_min <= self.saturation_max < math.inf:
            raise ValueError(
                "saturation must be numbers that are at least 0, the lower first, got "
                f"{self.saturation_min} and {self.saturation_max}."
            )
        for name, high in _LIMITS.items():
            if not 0 <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be in [0, {high}], got {getattr(self, name)}.")
        if not 0 <= self.cutout <= self.image_size:
            raise ValueError(
                f"cutout must be at least 0 and at most image_size, got {self.cutout} and "
                f"{self.image_size}."
            )
        if self.fit not in FITS:
            raise ValueError(f"fit must be {', '.join(FITS)}, got {self.fit!r}.")
        if self.scale == 1:
            raise ValueError("scale must be below 1, got 1.")
        if self.standardize not in STANDARDS:
            raise ValueError(
                f"standardize must be {', '.join(STANDARDS)}, got {self.standardize!r}."
            )
        for name in ("mean", "deviation"):
            values = tuple(float(value) for value in getattr(self, name))
            object.__setattr__(self, name, values)  # JSON makes lists of tuples
            if self.standardize == "given" and len(values) not in (1, self.channels):
                raise ValueError(
                    f"{name} must be 1 number or {self.channels}, one for each channel, got "
                    f"{len(values)}."
                )
        if self.standardize == "given" and not min(self.deviation) > 0:
            raise ValueError(f"deviation must be above 0, got {self.deviation}.")


_LIMITS = {
    "shift": 1,
    "rotation": 180,
    "scale": 1,
    "fill": 255,
    "hue": 0.5,
    "salt_and_pepper": 1,
    "rand_augment": 14,
    "rand_augment_magnitude": LARGEST,
    "erasing": 1,
}


def training(image: tf.Tensor, seed: tf.Tensor, p: Preprocessing) -> tf.Tensor:
    """Augments an image at random, and standardizes it.

    The crop is scaled to `crop_size` and then to `image_size`, or directly to `image_size` if
    that is larger. The other changes follow, on fewer pixels; shrinking keeps the mean of a
    channel, so changes of light give the same result in either order. Levels are not clipped, so
    standardizing each image undoes a change of brightness, and in grey images of contrast; in
    colour images a change of contrast still changes the tint. Erased pixels are 0 after
    standardization.

    Args:
      image: uint8 `[h, w, c]`, its short side `p.short_side`, c 1 or 3.
      seed: `[2]` integers; the same seed makes the same changes.
      p: The changes to make; those that are switched off are not in the graph.

    Returns:
      float32 `[image_size, image_size, channels]`.

    Raises:
      ValueError: c is neither 1 nor 3.

    Source: the order is that of the TensorFlow CIFAR-10 tutorial, github.com/tensorflow/models.
    """
    return standardized(augmented(image, seed, p), p, seed)


def augmented(image: tf.Tensor, seed: tf.Tensor, p: Preprocessing) -> tf.Tensor:
    """Augments an image as `training` does, without standardizing; float32, about 0 to 255."""
    if p.crop_size < p.short_side:
        image = augment.crop(image, seed, smallest=p.crop_size, largest=p.short_side)
    else:
        image = _middle(image, p.short_side)
    image = with_channels(image, p)
    side = p.crop_size if p.crop_size == p.short_side else None
    if p.crop_size >= p.image_size:
        image = _resized(image, side, p.crop_size, shrinks=True)
        image = _resized(image, p.crop_size, p.image_size)
    else:
        image = _resized(image, side, p.image_size, shrinks=False)
    if p.flip:
        image = augment.flip_left_right(image, seed)
    if p.flip_up_down:
        image = augment.flip_up_down(image, seed)
    if p.shift or p.rotation or p.scale:
        image = augment.affine(
            image, seed, degrees=p.rotation, fraction=p.shift, change=p.scale, fill=p.fill
        )
    if p.rand_augment:
        image = rand_augment(
            image,
            seed,
            operations=p.rand_augment,
            magnitude=p.rand_augment_magnitude,
            fill=p.fill,
        )
    if (p.saturation_min, p.saturation_max) != (1, 1):
        image = augment.saturation(image, seed, low=p.saturation_min, high=p.saturation_max)
    if p.hue:
        image = augment.hue(image, seed, delta=p.hue)
    if p.brightness:
        image = augment.brightness(image, seed, delta=p.brightness)
    if (p.contrast_min, p.contrast_max) != (1, 1):
        image = augment.contrast(image, seed, low=p.contrast_min, high=p.contrast_max)
    if p.salt_and_pepper:
        image = augment.salt_and_pepper(image, seed, fraction=p.salt_and_pepper)
    return image


def evaluation(image: tf.Tensor, p: Preprocessing) -> tf.Tensor:
    """Crops the central square of an image, scales it to `image_size` and standardizes it.

    Args:
      image: uint8 `[h, w, c]`, its short side `p.short_side`, c 1 or 3.
      p: Sizes and standardization.

    Returns:
      float32 `[image_size, image_size, channels]`.

    Raises:
      ValueError: c is neither 1 nor 3.
    """
    return standardized(central(image, p), p)


def central(image: tf.Tensor, p: Preprocessing) -> tf.Tensor:
    """Crops and scales an image as `evaluation` does, without standardizing; 0 to 255."""
    square = with_channels(_middle(image, p.short_side), p)
    return _resized(square, p.short_side, p.image_size)


def standardized(image: tf.Tensor, p: Preprocessing, seed: tf.Tensor | None = None) -> tf.Tensor:
    """Standardizes levels `[h, w, c]`; with a seed, also erases at random."""
    if p.standardize == "image":
        image = tf.image.per_image_standardization(image)
    elif p.standardize == "channel":
        mean, variance = tf.nn.moments(image, [0, 1])
        pixels = tf.cast(tf.shape(image)[0] * tf.shape(image)[1], tf.float32)
        image = (image - mean) / tf.maximum(tf.sqrt(variance), tf.math.rsqrt(pixels))
    elif p.standardize == "given":
        image = (image / 255 - tf.constant(p.mean)) / tf.constant(p.deviation)
    else:
        image = image / 255
    if p.erasing and seed is not None:
        image = augment.erase(image, seed, probability=p.erasing)
    if p.cutout and seed is not None:
        image = augment.cutout(image, seed, side=p.cutout)
    return image


def visible(image: np.ndarray, p: Preprocessing, *, deviations: float = 2.0) -> np.ndarray:
    """Converts the model's input back to levels, uint8 `[h, w, channels]`, to be looked at.

    It is exact where mean and deviation are given or nothing is standardized. Where they were
    each image's own, the mean becomes grey, and values `deviations` standard deviations away from
    it become black and white.
    """
    if p.standardize == "given":
        image = image * np.array(p.deviation) + np.array(p.mean)
    elif p.standardize != "none":
        image = 0.5 + image / (2 * deviations)
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _middle(image: tf.Tensor, side: int) -> tf.Tensor:
    """Crops the central square `[side, side, c]` of `[h, w, c]`."""
    top = (tf.shape(image)[0] - side) // 2
    left = (tf.shape(image)[1] - side) // 2
    return tf.slice(image, [top, left, 0], [side, side, image.shape[2]])


def with_channels(image: tf.Tensor, p: Preprocessing) -> tf.Tensor:
    """Converts an image to the model's number of channels."""
    channels = image.shape[2]
    if channels not in (1, 3):
        raise ValueError(f"image must have 1 or 3 channels, got {channels}.")
    if channels == 1 and p.channels == 3:
        return tf.repeat(image, 3, axis=2)
    if channels == 3 and p.channels == 1:
        return tf.image.rgb_to_grayscale(image)
    return image


def _resized(
    image: tf.Tensor, side: int | None, wanted: int, *, shrinks: bool = False
) -> tf.Tensor:
    """Scales a square to float32 `[wanted, wanted, channels]`.

    It shrinks by the mean of the area under each new pixel, so that nothing aliases, and grows
    bilinearly.

    Args:
      image: `[side, side, channels]`.
      side: Its side, or None if it is known only at run time.
      wanted: The new side.
      shrinks: Whether an unknown side is known to be at least `wanted`.

    Cost: from 260 to 200 to 100 pixels 0.4 ms of one core, where `antialias=True` takes 1.7 ms.
    """
    if side == wanted:
        return tf.cast(image, tf.float32)

    def by(method: str) -> tf.Tensor:
        return tf.image.resize(image, [wanted, wanted], method)

    area, bilinear = tf.image.ResizeMethod.AREA, tf.image.ResizeMethod.BILINEAR
    if side is None and not shrinks:
        return tf.cond(tf.shape(image)[0] < wanted, lambda: by(bilinear), lambda: by(area))
    return by(bilinear if side is not None and side < wanted else area)
