import io

import pytest
from PIL import Image

from hw2.input.files import trailing

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")


def written(format, **options):
    buffer = io.BytesIO()
    Image.effect_noise((30, 20), 60).save(buffer, format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_ends_where_its_file_does(format):
    content = written(format)
    assert trailing.end(content, format) == len(content)
    for more in (b"\0", b"\xff\xd9", content):
        assert trailing.end(content + more, format) == len(content)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF"])
def test_a_picture_cut_short_has_no_end(format):
    content = written(format)
    assert trailing.end(content[:-1], format) is None
    assert trailing.end(content[: len(content) // 2], format) is None


def test_a_thumbnail_within_a_jpeg_is_not_its_end():
    exif = Image.Exif()
    exif[0x010E] = "a title with \xff\xd9 in it"
    content = written("JPEG", exif=exif, comment=b"\xff\xd9")
    assert trailing.end(content, "JPEG") == len(content)
    progressive = written("JPEG", progressive=True, quality=90)
    assert trailing.end(progressive, "JPEG") == len(progressive)


def test_all_frames_of_a_gif_are_one_picture():
    buffer = io.BytesIO()
    frames = [Image.new("P", (9, 9), color) for color in (1, 2, 3)]
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], comment=b"\x3b;")
    content = buffer.getvalue()
    assert trailing.end(content + b";", "GIF") == len(content)


def test_the_size_that_many_writers_of_bmp_leave_0():
    content = written("BMP")
    assert trailing.end(content[:2] + bytes(4) + content[6:], "BMP") is None
