"""Every random change: shapes, seeds, eagerly and inside `map`, and what it must leave alone."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from hw2.input.transforms import augment, preprocess, rand_augment
from hw2.input.transforms.preprocess import Preprocessing

CHANGES = {
    "crop": lambda x, s: augment.crop(x, s, smallest=7, largest=9),
    "flip_left_right": augment.flip_left_right,
    "flip_up_down": augment.flip_up_down,
    "brightness": lambda x, s: augment.brightness(x, s, delta=63.0),
    "contrast": lambda x, s: augment.contrast(x, s, low=0.2, high=1.8),
    "saturation": lambda x, s: augment.saturation(x, s, low=0.2, high=1.8),
    "hue": lambda x, s: augment.hue(x, s, delta=0.3),
    "rotate": lambda x, s: augment.affine(x, s, degrees=30.0),
    "shift": lambda x, s: augment.affine(x, s, fraction=0.3),
    "scale": lambda x, s: augment.affine(x, s, change=0.3),
    "salt_and_pepper": lambda x, s: augment.salt_and_pepper(x, s, fraction=0.3),
    "cutout": lambda x, s: augment.cutout(x, s, side=4),
    "erase": lambda x, s: augment.erase(x, s, probability=1.0),
    "rand_augment": lambda x, s: rand_augment.rand_augment(x, s, operations=3, magnitude=9.0),
}
PLAIN = Preprocessing(
    image_size=12,
    channels=3,
    short_side=12,
    crop_size=12,
    flip=False,
    brightness=0.0,
    contrast_min=1.0,
    contrast_max=1.0,
)


def picture(*shape, seed=0):
    levels = np.random.default_rng(seed).integers(0, 256, shape or (12, 12, 3))
    return tf.constant(levels, tf.float32)


@pytest.mark.parametrize("name", CHANGES)
def test_a_seed_says_what_changes_eagerly_and_in_map(name):
    change, x = CHANGES[name], picture()
    seeds = [tf.constant([1, i], tf.int64) for i in range(8)]
    eager = [change(x, seed) for seed in seeds]
    again = [change(x, seed) for seed in seeds]
    mapped = tf.data.Dataset.from_tensor_slices(tf.stack(seeds)).map(lambda seed: change(x, seed))
    for a, b, c in zip(eager, again, mapped, strict=True):
        assert a.dtype == tf.float32
        assert a.shape[2] == 3
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, atol=1e-3)  # a graph may fuse steps
    assert len({a.numpy().tobytes() for a in eager}) > 1


def test_small_examples_readable_by_eye():
    x = tf.reshape(tf.range(4.0), [2, 2, 1])
    flipped = {augment.flip_left_right(x, [0, i]).numpy().tobytes() for i in range(20)}
    assert flipped == {x.numpy().tobytes(), x.numpy()[:, ::-1].tobytes()}
    flipped = {augment.flip_up_down(x, [0, i]).numpy().tobytes() for i in range(20)}
    assert flipped == {x.numpy().tobytes(), x.numpy()[::-1].tobytes()}
    for none in (
        augment.affine(x, [1, 2], degrees=0.0),
        augment.affine(x, [1, 2], fraction=0.0),
        augment.affine(x, [1, 2], change=0.0),
        augment.salt_and_pepper(x, [1, 2], fraction=0.0),
        augment.erase(x, [1, 2], probability=0.0),
        augment.cutout(x, [1, 2], side=0),
        augment.brightness(x, [1, 2], delta=0.0),
    ):
        np.testing.assert_allclose(none, x, atol=1e-5)


def test_a_shift_alone_is_of_whole_pixels_and_goes_everywhere():
    x = picture(10, 10, 1) + 1
    padded = np.pad(x.numpy(), ((2, 2), (2, 2), (0, 0)))
    places = {
        padded[top : top + 10, left : left + 10].tobytes() for top in range(5) for left in range(5)
    }
    found = {augment.affine(x, [7, i], fraction=0.2).numpy().tobytes() for i in range(300)}
    assert found == places


def test_salt_and_pepper_and_erasing_take_their_share():
    x = tf.fill([200, 200, 3], 100.0)
    noisy = augment.salt_and_pepper(x, [3, 4], fraction=0.2).numpy()
    assert set(np.unique(noisy)) == {0.0, 100.0, 255.0}
    assert abs((noisy[..., 0] != 100).mean() - 0.2) < 0.02
    assert (noisy == noisy[..., :1]).all()
    erased = [augment.erase(x, [5, i], probability=0.5).numpy() for i in range(60)]
    share = np.mean([(e != 100).any() for e in erased])
    assert 0.3 < share < 0.7


@pytest.mark.parametrize("side", [3, 4])
def test_cutout_is_a_square_round_any_pixel(side):
    """In 300 draws each of the 7 x 6 centres comes, also those at the edge; nothing else does."""
    x = np.ones((7, 6, 3), np.float32)
    expected = set()
    for row in range(7):
        for column in range(6):
            top, left = row - side // 2, column - side // 2
            cut = x.copy()
            cut[max(top, 0) : top + side, max(left, 0) : left + side] = 0.5
            expected.add(cut.tobytes())
    cut = tf.function(lambda seed: augment.cutout(x, seed, side=side, fill=0.5))
    found = {cut(tf.constant([5, i])).numpy().tobytes() for i in range(300)}
    assert found == expected


def test_cutout_is_the_mean_of_a_standardized_image():
    p = dataclasses.replace(PLAIN, cutout=6)
    found = preprocess.training(tf.cast(picture(), tf.uint8), [0, 1], p).numpy()
    plain = preprocess.training(tf.cast(picture(), tf.uint8), [0, 1], PLAIN).numpy()
    cut = (found != plain).any(2)
    assert 9 <= cut.sum() <= 36
    assert (found[cut] == 0).all()
    for side in (-1, 13):
        with pytest.raises(ValueError, match=f"at most image_size, got {side} and 12"):
            dataclasses.replace(PLAIN, cutout=side)


def test_auto_contrast_and_equalize_are_those_of_pillow():
    x = picture(20, 20, 3, seed=2) // 3 + 40
    image = Image.fromarray(x.numpy().astype(np.uint8))
    for ours, theirs in (
        (rand_augment.auto_contrast, ImageOps.autocontrast),
        (rand_augment.equalize, ImageOps.equalize),
    ):
        expected = np.asarray(theirs(image), np.float32)
        assert np.abs(ours(x, tf.constant(0.0), 0.0) - expected).max() <= 1


@pytest.mark.parametrize(
    "change",
    [
        {"flip_up_down": True},
        {"shift": 0.2},
        {"rotation": 20.0},
        {"scale": 0.2},
        {"saturation_min": 0.2},
        {"hue": 0.2},
        {"salt_and_pepper": 0.1},
        {"rand_augment": 2},
        {"erasing": 1.0},
        {"cutout": 4},
    ],
)
def test_every_setting_is_read_in_training_and_by_training_only(change):
    changed = dataclasses.replace(PLAIN, **change)
    x = tf.cast(picture(), tf.uint8)
    plain = preprocess.training(x, [0, 0], PLAIN)
    several = [preprocess.training(x, [0, i], changed) for i in range(6)]
    assert max(np.abs(plain - y).max() for y in several) > 1e-3
    assert all(np.isfinite(y).all() and y.shape == (12, 12, 3) for y in several)
    np.testing.assert_array_equal(
        preprocess.evaluation(x, changed), preprocess.evaluation(x, PLAIN)
    )


def test_standardizations():
    x = tf.cast(picture(), tf.uint8)
    values = x.numpy() / 255
    by_channel = preprocess.evaluation(x, dataclasses.replace(PLAIN, standardize="channel"))
    np.testing.assert_allclose(by_channel.numpy().mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(by_channel.numpy().std((0, 1)), 1, atol=1e-4)
    none = preprocess.evaluation(x, dataclasses.replace(PLAIN, standardize="none"))
    np.testing.assert_allclose(none, values, atol=1e-6)
    given = dataclasses.replace(PLAIN, standardize="given", mean=(0.4, 0.5, 0.6), deviation=[0.2])
    expected = (values - [0.4, 0.5, 0.6]) / 0.2
    np.testing.assert_allclose(preprocess.evaluation(x, given), expected, atol=1e-5)
    with pytest.raises(ValueError, match="deviation must be 1 number or 3, one for each channel"):
        dataclasses.replace(PLAIN, standardize="given", mean=(0.5,))
