import io
import os
import resource
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hw2.errors import DataError
from hw2.input.files import decode, frame, metadata
from tests.input.faulty import noise
from tests.input.handmade import chunk, png

LOSSY = 0.03  # JPEG and WebP at quality 95, of the largest value


def close(a, b, tolerance):
    a, b = np.asarray(a, float), np.asarray(b, float)
    return np.abs(a - b).max() <= tolerance * np.abs(b).max()


def saved(path, image, **options):
    image.save(path, **options)
    return path


# Worked examples.


def test_lossless_formats_come_back_as_they_were(tmp_path, photo):
    for suffix, options in {"png": {}, "bmp": {}, "webp": {"lossless": True}}.items():
        path = saved(tmp_path / f"x.{suffix}", photo, **options)
        np.testing.assert_array_equal(decode.picture(path, 60), photo)


def test_lossy_formats_come_close(tmp_path, photo):
    for suffix in ("jpg", "webp"):
        path = saved(tmp_path / f"x.{suffix}", photo, quality=95)
        assert close(decode.picture(path, 60), photo, LOSSY)


def test_content_decides_and_not_the_suffix(tmp_path, photo):
    path = saved(tmp_path / "x.jpg", photo, format="PNG")
    np.testing.assert_array_equal(decode.picture(path, 60), photo)
    assert decode.header(path) == ("PNG", False)


def test_short_side_is_scaled_and_aspect_kept(tmp_path, photo):
    wide = saved(tmp_path / "wide.png", photo)
    tall = saved(tmp_path / "tall.png", photo.transpose(Image.Transpose.ROTATE_90))
    assert decode.picture(wide, 30).shape == (30, 40, 3)
    assert decode.picture(tall, 90).shape == (120, 90, 3)
    flat = saved(tmp_path / "flat.png", Image.new("RGB", (9, 5), (10, 20, 30)))
    assert np.unique(decode.picture(flat, 3).reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]
    ramp = decode.picture(wide, 30)  # every second pixel of a ramp is the mean of two
    assert close(ramp[1:-1, 1:-1], np.asarray(photo, float)[2:-2:2, 2:-2:2] + [1.5, 2, -1], 0.01)


@pytest.mark.parametrize(
    ("size", "short_side", "expected"),
    [((80, 60), 30, (40, 30)), ((3, 2), 3, (5, 3)), ((7, 7), 4, (4, 4)), ((1, 100), 2, (2, 200))],
)
def test_scaled_rounds_half_up(size, short_side, expected):
    assert frame.scaled(size, short_side) == expected


def test_a_large_jpeg_is_decoded_small_and_right(tmp_path, photo):
    large = photo.resize((1600, 1200), Image.Resampling.BICUBIC)
    path = saved(tmp_path / "large.jpg", large, quality=95)
    assert close(decode.picture(path, 60), large.resize((80, 60), Image.Resampling.BOX), LOSSY)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_orientation_is_undone(tmp_path, photo, orientation, suffix):
    stored = {  # EXIF 2.32: which side of the stored rows and columns is the top and the left
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a.swapaxes(0, 1)[::-1],
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a.swapaxes(0, 1)[:, ::-1],
    }[orientation](np.asarray(photo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if suffix == "webp" else {"quality": 95}
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, **options)
    upright = decode.picture(path, 60)
    assert upright.shape == (60, 80, 3)
    assert close(upright, photo, LOSSY)
    if suffix != "jpg":
        small = saved(tmp_path / "reference.png", photo)
        np.testing.assert_array_equal(decode.picture(path, 30), decode.picture(small, 30))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow says so as it opens the file
def test_garbled_exif_does_not_spoil_a_picture(tmp_path, photo):
    path = saved(tmp_path / "x.jpg", photo, exif=b"Exif\0\0II*\0\xff\xff\xff\xff", quality=95)
    assert close(decode.picture(path, 60), photo, LOSSY)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA", "RGB with tRNS", "L with tRNS"])
def test_transparent_is_white(tmp_path, mode):
    path = tmp_path / "x.png"
    if mode == "RGBA":
        Image.fromarray(np.uint8([[[200, 0, 0, 255], [9, 9, 9, 0]]])).save(path)
    elif mode == "LA":
        planes = [Image.fromarray(np.uint8([values])) for values in ([200, 9], [255, 0])]
        Image.merge("LA", planes).save(path)
    elif mode == "P":
        image = Image.fromarray(np.uint8([[0, 1]]))
        image.putpalette([200, 0, 0, 9, 9, 9])
        image.save(path, transparency=1)
    elif mode == "PA":
        image = Image.fromarray(np.uint8([[0, 1]]))
        image.putpalette([200, 0, 0, 9, 9, 9])
        image.save(path, transparency=b"\xff\x00")
    elif mode == "RGB with tRNS":
        Image.fromarray(np.uint8([[[200, 0, 0], [9, 9, 9]]])).save(path, transparency=(9, 9, 9))
    else:
        Image.fromarray(np.uint8([[200, 9]])).save(path, transparency=9)
    seen = [200, 200, 200] if mode.startswith("L") else [200, 0, 0]
    assert decode.picture(path, 1).tolist() == [[seen, [255, 255, 255]]]


def test_half_transparent_is_half_white(tmp_path):
    path = saved(tmp_path / "x.png", Image.new("RGBA", (2, 2), (0, 100, 200, 51)))
    assert decode.picture(path, 2)[0, 0].tolist() == [204, 224, 244]  # 255 + (value - 255) / 5


def test_sixteen_bits_keep_the_high_byte(tmp_path):
    grey = tmp_path / "grey.png"
    Image.fromarray(np.uint16([[0x00FF, 0x1234, 0xFFFF]])).save(grey)
    assert decode.picture(grey, 1)[0, :, 0].tolist() == [0x00, 0x12, 0xFF]
    for color, values, expected in [
        (2, [0x1234, 0x5678, 0x9ABC], [0x12, 0x56, 0x9A]),
        (4, [0x1234, 0xFFFF], [0x12] * 3),
        (6, [0x1234, 0x5678, 0x9ABC, 0xFFFF], [0x12, 0x56, 0x9A]),
    ]:
        rows = b"\0" + struct.pack(f">{len(values)}H", *values)
        path = tmp_path / f"{color}.png"
        path.write_bytes(png(1, 1, depth=16, color=color, rows=rows))
        assert decode.picture(path, 1).tolist() == [[expected]]


def test_sixteen_bit_grey_with_a_transparent_value(tmp_path):
    path = tmp_path / "x.png"
    rows = b"\0" + struct.pack(">2H", 0x1234, 0x1235)
    extra = chunk(b"tRNS", struct.pack(">H", 0x1234))
    path.write_bytes(png(2, 1, depth=16, color=0, rows=rows, extra=extra))
    assert decode.picture(path, 1)[0, :, 0].tolist() == [255, 0x12]


def test_cmyk_becomes_rgb(tmp_path):
    path = tmp_path / "x.jpg"
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(path, quality=95)  # no red taken away
    assert close(decode.picture(path, 8), np.full([8, 8, 3], [255, 0, 0]), 2 / 255)


@pytest.mark.parametrize("mode", ["1", "P", "L", "RGB"])
def test_bmp_of_any_mode_has_its_colours(tmp_path, photo, mode):
    image = photo.convert(mode)
    path = saved(tmp_path / "x.bmp", image)
    np.testing.assert_array_equal(decode.picture(path, 60), image.convert("RGB"))


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_the_first_frame_of_an_animation(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "lime", "blue")]
    path = tmp_path / f"x.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, **options)
    assert decode.header(path) == (suffix.upper(), True)
    np.testing.assert_array_equal(decode.picture(path, 6), frames[0])


def test_arrays_are_scaled_as_files_are(tmp_path, photo):
    path = saved(tmp_path / "x.png", photo)
    for short_side in (17, 60, 61):
        expected = decode.picture(path, short_side)
        np.testing.assert_array_equal(decode.resize(np.asarray(photo), short_side), expected)
        grey = decode.resize(np.asarray(photo)[..., :1], short_side)
        np.testing.assert_array_equal(grey, expected[..., :1])


# Refusals.


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        decode.picture(path, 8, **options)
    message = str(caught.value)
    start = f"bad picture in {path} - "
    assert message.startswith(start)
    assert "\n" not in message
    return message.removeprefix(start)


def test_truncated_files(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, [60, 80, 3], np.uint8)
    photo = Image.fromarray(noise)
    for suffix, left_out in [("jpg", 2), ("jpg", 300), ("png", 200), ("gif", 300), ("bmp", 9)]:
        path = saved(tmp_path / f"x.{suffix}", photo)
        path.write_bytes(path.read_bytes()[:-left_out])
        assert refusal(path) == "truncated; replace it"
    path = saved(tmp_path / "x.webp", photo)
    path.write_bytes(path.read_bytes()[:-9])
    assert refusal(path) == "damaged (could not create decoder object); replace it"


def test_png_without_its_end_or_with_a_bad_checksum(tmp_path, photo):
    path = saved(tmp_path / "x.png", photo)
    whole = path.read_bytes()
    path.write_bytes(whole[:-12])
    assert refusal(path) == "truncated; replace it"
    broken = "damaged (broken PNG file ({} checksum in b'IDAT')); replace it"
    path.write_bytes(whole[:-16])
    assert refusal(path) == broken.format("incomplete")
    path.write_bytes(whole[:-13] + bytes([whole[-13] ^ 1]) + whole[-12:])
    assert refusal(path) == broken.format("bad header")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty; replace or remove it"),
        (b"<!DOCTYPE html><p>", 'not an image (starts with "<!DOCTYPE html><"); replace or rem'),
        (b"II*\0" + bytes(30), "unsupported format TIFF; convert it to PNG or JPEG"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "unsupported format AVIF; convert it to PNG or JPEG"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "unsupported format HEIC; convert it to PNG or JPEG"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "unsupported format JPEG 2000; convert it to PNG or JPEG"),
        (b"\xff\x0a" + bytes(30), "unsupported format JPEG XL; convert it to PNG or JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "damaged ("),
        (b"\0\0\0\x1cftypisom\0\0\0\0", "unsupported format MP4 (a video); convert it to"),
        (b"\0\0\0\x1cftypxxxx\0\0\0\0", "not an image (starts with the bytes 00 00 00 1c 66 74"),
    ],
)
def test_what_is_no_picture(tmp_path, content, words):
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    assert refusal(path).startswith(words)


@pytest.mark.timeout(60)  # opening a FIFO would wait for ever
def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo.png")
    assert refusal(tmp_path / "fifo.png") == "not a regular file; remove it"
    assert refusal(tmp_path) == "not a regular file; remove it"
    (tmp_path / "link.png").symlink_to("nowhere")
    assert refusal(tmp_path / "link.png") == "dangling link; restore or remove it"
    assert refusal(tmp_path / "gone.png") == "no such file; restore or remove it"


def test_an_unreadable_file(tmp_path, photo, monkeypatch):
    path = saved(tmp_path / "x.png", photo)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)  # the tests may run as root, who reads anything
    assert refusal(path) == "permission denied; make it readable, or remove it"


def test_too_many_pixels_are_refused_by_the_header(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png(60000, 60000, depth=8, color=2, rows=bytes(1000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(path) == (
        "too many pixels (3600000000 > limit 100000000; --max_pixels); "
        "shrink it, or raise the limit"
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes
    small = saved(tmp_path / "small.png", Image.new("L", (20, 10)))
    assert refusal(small, max_pixels=199).startswith("too many pixels (200 > limit 199; --max_")
    assert decode.picture(small, 8, max_pixels=200).shape == (8, 16, 3)


@pytest.mark.fault(173)
def test_a_download_that_has_its_size_but_not_its_content_is_refused_at_once(tmp_path):
    path = tmp_path / "x.jpg"
    with path.open("wb") as file:
        file.write(b"\xff\xd8\xff\xe0")
        file.truncate(3 * 2**30)  # a hole, which takes no room
    assert refusal(path).startswith("too many bytes for its pixels")


def test_sizes_at_the_edge(tmp_path):
    one = saved(tmp_path / "one.png", Image.new("L", (1, 1), 7))
    assert np.unique(decode.picture(one, 260)).tolist() == [7]
    line = saved(tmp_path / "line.png", Image.new("L", (3000, 1)))
    assert refusal(line) == "too thin (3000x1, over 100:1); crop or remove it"


def test_names_of_any_bytes(tmp_path, photo):
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    for name in (b"\xff\xfe.png", b"-x'\"\n.png", "\N{CAT FACE}.PNG".encode()):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(buffer.getvalue())
        assert decode.picture(os.fsdecode(path), 60).shape == (60, 80, 3)
    with pytest.raises(DataError, match=r"bad picture in .*/\\udcff\\n - no such file; restore"):
        decode.picture(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"\xff\n")), 60)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    suffix=st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "WEBP"]),
    places=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    keep=st.floats(0, 1),
)
def test_damage_is_a_data_error_or_a_picture(tmp_path, photo, suffix, places, keep):
    buffer = io.BytesIO()
    photo.resize((16, 12)).save(buffer, suffix)
    content = bytearray(buffer.getvalue())
    for place, value in places:
        content[int(place * (len(content) - 1))] = value
    path = tmp_path / "x"
    path.write_bytes(content[: int(keep * len(content)) if keep > 0.2 else None])
    try:
        picture = decode.picture(path, 12, max_pixels=10_000)
    except DataError:
        return
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert min(picture.shape[:2]) == 12
    assert picture.shape[2] == 3


ROWS = b"".join(b"\0" + bytes(range(n, n + 90)) for n in range(30))  # 30x30 in colour


@pytest.mark.fault(92)
@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2_000_000))),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2_000_000))),
        chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
        chunk(b"zTXt", b"a\0\7?"),  # an unknown compression
        b"".join(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1_000_000))) for _ in range(70)),
    ],
    ids=["text", "profile", "international", "unknown", "many"],
)
def test_metadata_never_decides_over_pixels(extra):
    plain = decode.picture_in(png(30, 30, depth=8, color=2, rows=ROWS), "x", 30)
    content = png(30, 30, depth=8, color=2, rows=ROWS, extra=extra)
    np.testing.assert_array_equal(decode.picture_in(content, "x", 30), plain)
    assert decode.inspect_in(content, "x").format == "PNG"
    with pytest.raises(DataError, match=r"truncated|damaged"):  # the pixels still do
        decode.inspect_in(content[: len(content) - 300], "x")


@pytest.mark.fault(92)
def test_damaged_segments_of_a_jpeg_do_not_stand_in_the_way():
    buffer = io.BytesIO()
    noise().save(buffer, "JPEG")
    content = buffer.getvalue()
    expected = decode.picture_in(content, "x", 30)
    exif = b"\xff\xe1" + (2000).to_bytes(2, "big") + b"Exif\0\0MM\0*" + b"\xff" * 1988
    mpf = b"\xff\xe2" + (100).to_bytes(2, "big") + b"MPF\0" + b"\xff" * 94
    for segment in (exif, mpf):
        damaged = content[:2] + segment + content[2:]
        np.testing.assert_array_equal(decode.picture_in(damaged, "x", 30), expected)
        assert np.array_equal(decode.picture_in(metadata.removed(damaged), "x", 30), expected)


@pytest.mark.fault(78)
@pytest.mark.parametrize("bits", [10, 12])
def test_significant_bits_of_a_png(bits):
    low = np.random.default_rng(0).integers(0, 1 << bits, [30, 30]).astype(np.uint16)
    low[0, 0] = (1 << bits) - 1
    sbit = chunk(b"sBIT", bytes([bits]))

    def decoded(values, extra):
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        content = png(30, 30, depth=16, color=0, rows=rows, extra=extra)
        return decode.picture_in(content, "x", 30)[..., 0]

    expected = (low.astype(int) * 65535 // ((1 << bits) - 1)) >> 8
    np.testing.assert_array_equal(decoded(low, sbit), expected)  # in the low bits
    high = (low << (16 - bits)) | (low >> (2 * bits - 16))  # as the standard has it
    np.testing.assert_array_equal(decoded(high, sbit), high >> 8)
    np.testing.assert_array_equal(decoded(low, b""), low >> 8)
