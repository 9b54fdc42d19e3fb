"""The decoder in the graph has the pixels of `hw2.input.files.decode`, or refuses."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.export import picture, resize
from hw2.input.files import decode

SIDE = 32
BASE = Image.fromarray(
    np.random.default_rng(0).integers(0, 256, (9, 13, 3)).astype(np.uint8)
).resize((91, 63))
GREY = BASE.convert("L")
TRANSPARENT = BASE.convert("RGBA")
TRANSPARENT.putalpha(GREY)
SIXTEEN = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257 - 1 + (np.asarray(GREY) == 0))


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(BASE, kind, exif=exif)


GOOD = {
    "jpeg": saved(BASE, "JPEG"),
    "progressive": saved(BASE, "JPEG", progressive=True),
    "grey jpeg": saved(GREY, "JPEG"),
    "cmyk": saved(BASE.convert("CMYK"), "JPEG"),
    "large jpeg": saved(BASE.resize((1300, 900)), "JPEG"),
    "png": saved(BASE, "PNG"),
    "grey png": saved(GREY, "PNG"),
    "palette png": saved(BASE.convert("P"), "PNG"),
    "1-bit png": saved(BASE.convert("1"), "PNG"),
    "16-bit png": saved(SIXTEEN, "PNG"),
    "transparent png": saved(TRANSPARENT, "PNG"),
    "transparent webp": saved(TRANSPARENT, "WEBP", lossless=True),
    "webp": saved(BASE, "WEBP"),
    "gif": saved(BASE, "GIF"),
    "bmp": saved(BASE, "BMP"),
} | {
    f"{kind} {value}": turned(kind, value)
    for kind in ("JPEG", "PNG", "WEBP")
    for value in range(1, 9)
}
REFUSED = {
    "text": b"hello there",
    "empty": b"",
    "truncated jpeg": saved(BASE, "JPEG")[:400],
    "truncated png": saved(BASE, "PNG")[:-30],
    "palette bmp": saved(BASE.convert("P"), "BMP"),
    "1-bit bmp": saved(BASE.convert("1"), "BMP"),
    "animated webp": saved(BASE, "WEBP", save_all=True, append_images=[BASE.rotate(90)]),
    "too many pixels": saved(GREY.resize((1500, 1400)), "PNG"),
}


@pytest.fixture(scope="module")
def graph():
    """From bytes to the central square."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def call(content):
        image, whole = picture.decoded(content, SIDE, 2_000_000)
        return resize.square(image, SIDE, whole)

    return call


@pytest.mark.parametrize("name", GOOD)
def test_pixels(graph, name):
    whole = decode.picture_in(GOOD[name], name, SIDE)
    top, left = ((size - SIDE) // 2 for size in whole.shape[:2])
    wanted = whole[top : top + SIDE, left : left + SIDE]
    np.testing.assert_array_equal(graph(GOOD[name]), wanted)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(graph, name):
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph(REFUSED[name])


def test_large_jpegs_are_scaled_by_the_size_they_had(graph):
    rng = np.random.default_rng(0)
    for number in range(24):
        exif = Image.Exif()
        exif[0x0112] = number % 8 + 1
        width, height = rng.integers(128, 700, 2).tolist()
        content = saved(BASE.resize((width, height)), "JPEG", exif=exif)
        whole = decode.picture_in(content, "large", SIDE)
        top, left = ((size - SIDE) // 2 for size in whole.shape[:2])
        wanted = whole[top : top + SIDE, left : left + SIDE]
        np.testing.assert_array_equal(graph(content), wanted, f"{width}x{height}")


def test_pictures_of_any_shape_are_scaled_alike():
    """Pillow 13 shrinks the rows of tall pictures before their columns."""
    rng = np.random.default_rng(1)
    for side in (12, 40):
        call = tf.function(
            lambda image, side=side: resize.square(image, side),
            input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)],
            autograph=False,
        )
        for _ in range(30):
            height, width = rng.integers(5, 90, 2)
            image = rng.integers(0, 256, [height, width, 3]).astype(np.uint8)
            whole = decode.resize(image, side)
            top, left = ((size - side) // 2 for size in whole.shape[:2])
            wanted = whole[top : top + side, left : left + side]
            np.testing.assert_array_equal(call(image), wanted, f"{width}x{height} to {side}")
