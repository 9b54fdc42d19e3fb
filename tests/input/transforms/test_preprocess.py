import dataclasses
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.input.transforms import preprocess
from hw2.input.transforms.preprocess import Preprocessing

FLOAT32 = 1e-4  # means of 260x260 pixels summed in float32, on values around 1: 3.4e-5 was seen
PLAIN = Preprocessing(
    image_size=8,
    channels=3,
    short_side=8,
    crop_size=8,
    flip=False,
    brightness=0.0,
    contrast_min=1.0,
    contrast_max=1.0,
)
S1 = Preprocessing(
    image_size=100,
    channels=3,
    short_side=260,
    crop_size=200,
    flip=True,
    brightness=63.0,
    contrast_min=0.2,
    contrast_max=1.8,
)


def but(p=PLAIN, **changes):
    return dataclasses.replace(p, **changes)


def noise(height, width, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, [height, width, channels], np.uint8)


def error(a, b):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.abs(a - b).max() / np.abs(b).max()


def standardized(image):
    """Mean 0, deviation 1, as `tf.image.per_image_standardization` documents."""
    image = np.asarray(image, float)
    return (image - image.mean()) / max(image.std(), image.size**-0.5)


def area(image, wanted):
    """The mean of the pixels, and parts of pixels, under each new pixel."""
    size = len(image)
    edges = np.arange(wanted + 1) * size / wanted
    low = np.maximum.outer(edges[:-1], np.arange(size))
    high = np.minimum.outer(edges[1:], np.arange(size) + 1)
    weights = np.maximum(high - low, 0) * wanted / size  # [wanted, size]
    return np.einsum("yh,xw,hwc->yxc", weights, weights, np.asarray(image, float), optimize=True)


# Worked examples.


def test_switched_off_it_only_standardizes():
    image = noise(8, 8)
    assert error(preprocess.training(image, [1, 2], PLAIN), standardized(image)) < FLOAT32
    assert error(preprocess.evaluation(image, PLAIN), standardized(image)) < FLOAT32


def test_evaluation_takes_the_central_square():
    wide, tall = noise(8, 13), noise(13, 8)
    assert error(preprocess.evaluation(wide, PLAIN), standardized(wide[:, 2:10])) < FLOAT32
    assert error(preprocess.evaluation(tall, PLAIN), standardized(tall[2:10])) < FLOAT32


@pytest.mark.parametrize(("side", "wanted"), [(26, 10), (20, 10), (13, 12)])
def test_shrinking_takes_the_mean_of_the_area(side, wanted):
    image = noise(side, side)
    p = but(short_side=side, crop_size=side, image_size=wanted)
    assert error(preprocess.evaluation(image, p), standardized(area(image, wanted))) < FLOAT32


def test_growing_is_bilinear():
    image = noise(8, 8, 1)
    grown = Image.fromarray(image[..., 0].astype(np.float32)).resize((20, 20), 2)
    p = but(image_size=20, channels=1)
    result = preprocess.evaluation(image, p)[..., 0]
    assert error(result, standardized(grown)) < FLOAT32


@pytest.fixture
def bare(monkeypatch):
    """Leaves standardization out, which hides what was done before."""
    monkeypatch.setattr(tf.image, "per_image_standardization", lambda image: image)


def test_crops_have_every_side_and_place(bare):
    y, x = np.mgrid[0:12, 0:20].astype(np.uint8)
    image = np.stack([y, x, 0 * x], -1)  # pixels that tell their place
    p = but(short_side=12, crop_size=8)
    found = set()
    for seed in range(300):
        crop = preprocess.training(image, [0, seed], p).numpy()
        height, width = (crop[-1, -1] - crop[0, 0])[:2]
        assert abs(height - width) < 1e-3
        side = round(height * 8 / 7)  # the centres of the outer of 8 pixels are 7/8 side apart
        top, left = np.rint(crop[0, 0, :2] - (side / 8 - 1) / 2).astype(int)
        assert top + side <= 12
        assert left + side <= 20
        found.add((side, top, left))
    sides, tops, lefts = zip(*found, strict=True)
    assert set(sides) == {8, 9, 10, 11, 12}
    assert (min(tops), max(tops)) == (0, 4)
    assert (min(lefts), max(lefts)) == (0, 12)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 13), (14, 8)])
def test_the_largest_crop_is_the_middle(height, width):
    """Nothing is random about it: training sees what evaluation sees."""
    image, p = noise(height, width), but(short_side=8, crop_size=8)
    expected = preprocess.evaluation(image, p)
    for seed in range(9):
        np.testing.assert_array_equal(preprocess.training(image, [0, seed], p), expected)


def test_half_of_the_pictures_are_mirrored(bare):
    image = noise(8, 8)
    results = [preprocess.training(image, [0, seed], but(flip=True)) for seed in range(100)]
    mirrored = [np.array_equal(result, image[:, ::-1]) for result in results]
    assert all(m or np.array_equal(r, image) for r, m in zip(results, mirrored, strict=True))
    assert 30 < sum(mirrored) < 70  # four deviations of 5


def test_brightness_moves_all_pixels(bare):
    image = noise(8, 8)
    moves = []
    for seed in range(100):
        moved = preprocess.training(image, [0, seed], but(brightness=63.0)).numpy() - image
        assert np.ptp(moved) < 1e-3
        moves.append(moved.mean())
    assert -63 <= min(moves) < -50
    assert 50 < max(moves) <= 63


def test_contrast_stretches_about_the_mean_of_a_channel(bare):
    image = noise(8, 8)
    factors = []
    for seed in range(100):
        p = but(contrast_min=0.2, contrast_max=1.8)
        changed = preprocess.training(image, [0, seed], p).numpy()
        factor = changed[..., 0].std() / image[..., 0].std()
        mean = image.mean((0, 1))
        assert error(changed, mean + factor * (image - mean)) < FLOAT32
        factors.append(factor)
    assert 0.2 <= min(factors) < 0.3
    assert 1.7 < max(factors) <= 1.8


@pytest.mark.parametrize("image_size", [100, 200])
def test_the_recipe_in_its_own_order(image_size):
    image = noise(260, 300)
    for seed in range(4):
        u = tf.random.stateless_uniform([6], [7, seed]).numpy().astype(float)
        side = 200 + int(u[0] * 61)
        top, left = int(u[1] * (261 - side)), int(u[2] * (301 - side))
        expected = area(image[top : top + side, left : left + side], 200)
        expected = expected[:, ::-1] if u[3] < 0.5 else expected
        expected = expected + 63 * (2 * u[4] - 1)
        mean = expected.mean((0, 1))
        expected = mean + (0.2 + 1.6 * u[5]) * (expected - mean)
        expected = standardized(area(expected, image_size))
        result = preprocess.training(image, [7, seed], but(S1, image_size=image_size))
        assert result.shape == (image_size, image_size, 3)
        assert error(result, expected) < FLOAT32


def test_the_seed_decides():
    image = noise(260, 300)
    first, again, other = (preprocess.training(image, [1, seed], S1) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert error(other, first) > 0.1


def test_brightness_alone_changes_nothing():
    # What the docstring says, since a setting without effect surprises.
    image = noise(8, 8)
    plain = preprocess.training(image, [0, 1], PLAIN)
    assert error(preprocess.training(image, [0, 1], but(brightness=63.0)), plain) < FLOAT32


@pytest.mark.fault(156)
def test_channels():
    grey, color = noise(8, 8, 1), noise(8, 8, 3)
    repeated = preprocess.evaluation(grey, PLAIN)
    assert repeated.shape == (8, 8, 3)
    assert error(repeated, standardized(np.repeat(grey, 3, axis=2))) < FLOAT32
    luma = preprocess.evaluation(color, but(channels=1))
    assert luma.shape == (8, 8, 1)
    weights = [0.299, 0.587, 0.114]  # Rec. 601
    assert error(luma[..., 0], standardized(color @ weights)) < 0.02  # rounded to whole levels


@pytest.mark.parametrize("function", [preprocess.training, preprocess.evaluation])
def test_a_picture_of_one_colour_is_all_but_zero(function):
    arguments = ([0, 1], S1) if function is preprocess.training else (S1,)
    result = function(np.full([260, 260, 3], 9, np.uint8), *arguments)
    assert np.abs(result).max() < 0.05  # rounding, over the least deviation, 1 / sqrt(pixels)


def test_in_a_dataset_it_is_the_same_and_its_shape_is_known():
    images = [noise(260, 300), noise(320, 260)]
    dataset = tf.data.Dataset.from_generator(
        lambda: images, output_signature=tf.TensorSpec([None, None, 3], tf.uint8)
    )
    trained = dataset.map(lambda image: preprocess.training(image, [0, 1], S1))
    evaluated = dataset.map(lambda image: preprocess.evaluation(image, S1))
    assert trained.element_spec == evaluated.element_spec == tf.TensorSpec([100, 100, 3])
    for image, a, b in zip(images, trained, evaluated, strict=True):
        assert error(a, preprocess.training(image, [0, 1], S1)) < FLOAT32
        assert error(b, preprocess.evaluation(image, S1)) < FLOAT32


def test_what_is_switched_off_is_not_in_the_graph():
    def operations(p):
        function = tf.function(lambda image: preprocess.training(image, [0, 1], p))
        graph = function.get_concrete_function(tf.TensorSpec([None, None, 3], tf.uint8)).graph
        return {operation.type for operation in graph.get_operations()}

    assert not operations(PLAIN) & {"ResizeArea", "ResizeBilinear", "ReverseV2", "AdjustContrastv2"}
    assert operations(S1) >= {"ResizeArea", "ReverseV2", "AdjustContrastv2"}


def test_json_keeps_it():
    assert Preprocessing(**json.loads(json.dumps(dataclasses.asdict(S1)))) == S1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_size": 0}, "image_size must be an integer of at least 1, got 0."),
        ({"short_side": 8.0}, "short_side must be an integer of at least 1, got 8.0."),
        ({"crop_size": True}, "crop_size must be an integer of at least 1, got True."),
        ({"channels": 4}, "channels must be 1 or 3, got 4."),
        ({"crop_size": 9}, "crop_size must not exceed short_side, got 9 > 8."),
        ({"brightness": -1}, "brightness must be in [0, 255], got -1."),
        ({"brightness": float("nan")}, "brightness must be in [0, 255], got nan."),
        ({"contrast_min": 2}, "contrast must be a range of numbers that are at least 0, got 2 to"),
        ({"contrast_max": float("inf")}, "at least 0, got 1.0 to inf."),
    ],
)
def test_refusals(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        but(**changes)


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match=r"image must have 1 or 3 channels, got 4\."):
        preprocess.evaluation(noise(8, 8, 4), PLAIN)
