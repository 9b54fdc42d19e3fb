"""Images in a frame: the whole of them, kept in aspect and filled, or stretched."""

import io

import numpy as np
import pytest
from PIL import Image

from hw2.config import choices
from hw2.input.files import decode, frame
from hw2.input.files.frame import Frame
from hw2.input.transforms import preprocess

SHAPES = [(40, 10), (10, 40), (3, 2), (1, 1), (1, 90), (90, 1), (16, 16), (17, 15)]


def drawn(height, width, channels=3):
    pixels = np.random.default_rng(height * 100 + width)
    return pixels.integers(0, 256, [height, width, channels]).astype(np.uint8)


def test_a_wide_picture_is_padded_above_and_below():
    picture = np.full([2, 4, 1], 9, np.uint8)
    framed = decode.resize(picture, Frame(4, "pad", 7))
    assert framed[..., 0].tolist() == [[7] * 4, [9] * 4, [9] * 4, [7] * 4]


def test_an_odd_rest_is_below_and_on_the_right():
    assert decode.resize(np.zeros([2, 5, 1], np.uint8), Frame(5, "pad", 1))[:, 0, 0].tolist() == [
        1,
        0,
        0,
        1,
        1,
    ]


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_pad_is_pillows_picture_on_a_square_of_the_fill(height, width):
    picture = drawn(height, width)
    by = 16 / max(height, width)
    size = max(1, int(width * by + 0.5)), max(1, int(height * by + 0.5))
    small = Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)
    page = Image.new("RGB", (16, 16), (200, 200, 200))
    page.paste(small, ((16 - size[0]) // 2, (16 - size[1]) // 2))
    np.testing.assert_array_equal(decode.resize(picture, Frame(16, "pad", 200)), np.asarray(page))


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_stretch_scales_each_side_by_itself(height, width):
    picture = drawn(height, width)
    wanted = Image.fromarray(picture).resize((16, 16), Image.Resampling.BILINEAR)
    found = decode.resize(picture, Frame(16, "stretch"))
    np.testing.assert_array_equal(found, np.asarray(wanted))


@pytest.mark.parametrize("fit", ["pad", "stretch"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_files_are_framed_upright_as_arrays_are(fit, orientation):
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    picture = drawn(12, 30)
    Image.fromarray(picture).save(content, "PNG", exif=exif)
    upright = picture if orientation == 1 else np.rot90(picture, -1)
    found = decode.picture_in(content.getvalue(), "a", Frame(16, fit, 5))
    np.testing.assert_array_equal(found, decode.resize(upright, Frame(16, fit, 5)))


def test_a_number_is_the_short_side_as_ever():
    assert frame.scaled((30, 20), 10) == (15, 10)
    assert decode.resize(drawn(20, 30), 10).shape == (10, 15, 3)
    assert frame.side_of(10) == frame.side_of(Frame(10, "pad")) == 10


def test_the_flag_takes_what_the_preprocessing_takes():
    assert choices.FITS == preprocess.FITS
