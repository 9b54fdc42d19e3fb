"""Every mode and format that Pillow writes comes out as Pillow itself converts it."""

import numpy as np
import pytest
from PIL import Image

from hw2.input import pipeline, source
from hw2.input.sources import unlabelled
from hw2.input.transforms.preprocess import Preprocessing

LEVELS = 2  # of 255: two ways to round when alpha is laid on white
COUNT = 300
SIZES = [(8, 8), (13, 9), (9, 14), (31, 24), (24, 32), (1, 5)]
WRITTEN = {  # by Pillow 13; other versions may write more
    "PNG": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"),
    "JPEG": ("1", "L", "RGB", "CMYK"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "GIF": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "WEBP": ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16"),
}
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16")


def drawn(mode, format, size, rng):
    """A picture of a mode: large patches, so that JPEG and WebP have something to keep."""
    coarse = rng.integers(0, 256, [3, 3, 4], np.uint8)
    values = Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST)
    color, alpha = values.convert("RGB"), values.getchannel("A")
    if mode in ("LA", "RGBA"):
        image = color.convert(mode[:-1])
        image.putalpha(alpha)
        return image
    if mode in ("P", "PA"):
        image = color.quantize(8)
        if mode == "PA" and format == "PNG":  # which has alpha in the palette itself
            image.info["transparency"] = bytes(rng.integers(0, 256, 8, np.uint8))
        elif mode == "PA":
            image = image.convert("PA")
            image.putalpha(alpha)
        return image
    if mode == "I;16":
        return Image.fromarray(np.asarray(color.convert("L"), np.uint16) * 257 - 20 * (size[0] > 9))
    return color.convert(mode)


def write(path, mode, format, size, rng):
    """Writes a picture of a mode, and tells whether Pillow could."""
    image = drawn(mode, format, size, rng)
    options = {}
    if format in ("JPEG", "WEBP"):
        options["quality"] = 95
    try:
        image.save(path, format, **options)
    except (OSError, ValueError, KeyError):
        path.unlink(missing_ok=True)
        return False
    return True


def oracle(path):
    """What Pillow makes of a file: RGB, on white where it is transparent."""
    with Image.open(path) as image:
        image.load()
        if image.mode.startswith("I"):
            return np.repeat((np.asarray(image).astype(int) // 256)[..., None], 3, axis=2)
        rgba = np.asarray(image.convert("RGBA"), float)
    share = rgba[..., 3:] / 255
    return rgba[..., :3] * share + 255 * (1 - share)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A class for each format, pictures of each mode in all sizes."""
    root = tmp_path_factory.mktemp("modes")
    rng = np.random.default_rng(0)
    count, turn = 0, 0
    while count < COUNT:
        for format in WRITTEN:
            for mode in MODES:
                path = root / format / f"{mode.replace(';', '')}-{turn}.{format.lower()}"
                path.parent.mkdir(exist_ok=True)
                count += write(path, mode, format, SIZES[turn % len(SIZES)], rng)
        turn += 1
    return root


def test_what_is_written(root):
    for format, modes in WRITTEN.items():
        found = {path.name.split("-")[0] for path in (root / format).iterdir()}
        assert found >= {mode.replace(";", "") for mode in modes}


def test_every_picture_is_what_pillow_makes_of_it(root):
    examples = source.read(root)
    assert len(examples) >= COUNT
    assert not any("conflicting" in note or "disagree" in note for note in examples.notes)
    for index, name in enumerate(examples.names):
        expected = oracle(root / name)
        found = examples.load(index, min(expected.shape[:2]))
        assert found.dtype == np.uint8
        assert found.shape == expected.shape, name
        assert np.abs(found - expected).max() <= LEVELS, name


@pytest.mark.parametrize("sizes", [(16, 16), (12, 16), (20, 16), (12, 31)])
@pytest.mark.parametrize("channels", [3, 1])
def test_training_evaluation_and_prediction_see_the_same_pixels(root, sizes, channels):
    """With nothing random switched on, of every mode, format and shape."""
    examples, found = source.read(root), unlabelled.find_pictures(root, sorted(WRITTEN))
    assert tuple(found.names) == examples.names
    np.testing.assert_array_equal(found.labels, examples.labels)
    image_size, side = sizes
    plain = Preprocessing(image_size, channels, side, side, False, 0.0, 1.0, 1.0)
    count = len(examples)
    options = {"batch_size": count}
    training = pipeline.training_batches(examples, range(count), plain, seed=0, **options)
    evaluation = pipeline.evaluation_batches(examples, range(count), plain, **options)
    predicted = found.forgiving(examples.class_names, lambda index, error: pytest.fail(str(error)))
    prediction = pipeline.evaluation_batches(predicted, range(count), plain, **options)
    images, labels = (column.numpy() for column in next(iter(training)))
    scored, expected, weights = (column.numpy() for column in next(iter(evaluation)))
    assert weights.all()
    order = pipeline.order.at(np.arange(count), count, 0)
    assert sorted(order) == list(range(count))
    np.testing.assert_array_equal(labels, expected[order])
    np.testing.assert_array_equal(images, scored[order])
    np.testing.assert_array_equal(next(iter(prediction))[0], scored)
