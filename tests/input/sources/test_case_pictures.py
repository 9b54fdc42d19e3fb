"""What is wrong with picture files, case by case, each on a real file of the kind.

Tests of case NN are called test_case_NN_..., here and, of whole trainings, in
tests/training/test_data.py.

| case | what |
|---|---|
| 1 | truncated JPEG |
| 2 | no byte |
| 3 | text, HTML, SVG named .jpg |
| 4 | PNG named .jpg |
| 5, 6 | animated WebP without and with alpha, GIF, APNG |
| 7 | WebP named .jpg |
| 8 | BMP of 1, 8, 24, 32 bits |
| 9 | EXIF orientation; also test_decode.py: test_exif_orientation_is_undone |
| 10 | CMYK |
| 11 | 16 bits; also test_decode.py: test_sixteen_bits_keep_the_high_byte, and in training |
| 12 | transparent; also test_decode.py: test_transparent_is_white |
| 13, 14 | a header of 60000x60000; a small file of 22000x22000 |
| 15 | 1x1, 3000x1, one colour |
| 16 | PNG without its end, or with a bad checksum |
| 17 | a flipped bit that still decodes |
| 18 | TIFF, AVIF, HEIC, JPEG 2000, JPEG XL |
| 19 | gone or changed after the scan; also test_pipeline.py: test_a_bad_file_is_named |
| 20 | bytes after the picture; also test_extent.py |
"""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from hw2.errors import DataError
from hw2.input import pipeline, source
from hw2.input.files.rules import Rules
from hw2.input.transforms.preprocess import Preprocessing
from tests.input.faulty import listed, noise, read_in_a_process, refused, tree
from tests.input.handmade import chunk, png

LEVELS = 2  # of 255, between two ways to make RGB of CMYK or to lay alpha on white


@pytest.fixture
def root(tmp_path):
    """Class folders a and b, with a good picture each."""
    return tree(tmp_path / "data")


def loaded(root, name, short_side=30):
    """A picture of a source, by its name."""
    examples = source.read(root)
    return examples.load(examples.names.index(name), short_side)


@pytest.mark.parametrize("left_out", ["half", 2])
@pytest.mark.fault(1)
def test_case_01_truncated_jpeg(root, left_out):
    noise().save(root / "a" / "x.jpg")
    content = (root / "a" / "x.jpg").read_bytes()
    keep = len(content) // 2 if left_out == "half" else len(content) - 2
    (root / "a" / "x.jpg").write_bytes(content[:keep])
    assert refused(root) == listed(root, {"a/x.jpg": "truncated; replace it"})
    examples = source.read(root, rules=Rules(on_bad_file="skip", max_bad_fraction=0.5))
    assert examples.names == ("a/good.png", "b/good.png")
    assert examples.notes == ("skipped 1 bad of 3 (1 truncated)",)
    path = root / "a" / "x.jpg"
    assert examples.skipped == (("a/x.jpg", f"bad picture in {path} - truncated; replace it"),)
    assert refused(root, on_bad_file="skip") == (
        f"too many bad pictures in {root} - 1 of 3 cannot be used, over --max_bad_fraction=0.01; "
        f"replace or remove them, or --max_bad_fraction=0.334:\n  "
        f"bad picture in {path} - truncated; replace it"
    )


@pytest.mark.fault(2)
def test_case_02_no_byte(root):
    (root / "a" / "x.jpg").touch()
    assert refused(root) == listed(root, {"a/x.jpg": "empty; replace or remove it"})


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("no picture", '"no picture"'),
        ("<!DOCTYPE html><title>404</title>", '"<!DOCTYPE html><"'),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", '"<svg xmlns=\'http"'),
        ("x", '"x"'),
    ],
)
@pytest.mark.fault(3)
def test_case_03_text_named_jpg(root, text, start):
    (root / "a" / "x.jpg").write_text(text)
    why = f"not an image (starts with {start}); replace or remove it"
    assert refused(root) == listed(root, {"a/x.jpg": why})


@pytest.mark.fault(4)
def test_case_04_png_named_jpg(root):
    noise().save(root / "a" / "x.jpg", "PNG")
    examples = source.read(root)
    np.testing.assert_array_equal(examples.load(1, 30), noise())
    assert examples.notes == ("content and suffix disagree in 1: a/x.jpg",)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("suffix", ["webp", "gif", "png"])
@pytest.mark.fault(5)
@pytest.mark.fault(6)
def test_case_05_06_the_first_frame_of_an_animation(root, suffix, alpha):
    mode = "RGBA" if alpha else "RGB"
    frames = [Image.new("RGB", (20, 15), color).convert(mode) for color in ("red", "lime", "blue")]
    path = root / "a" / f"x.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, **options)
    examples = source.read(root)
    picture = examples.load(1, 15)
    assert picture.shape == (15, 20, 3)
    np.testing.assert_array_equal(picture, np.full([15, 20, 3], [255, 0, 0]))
    assert examples.notes == (
        f"only the first frame is used of 1 animated: a/x.{suffix}",
        f"nearly all of one level, as behind a lens cap or on a wrong scale, 1 of 3: a/x.{suffix}",
    )


@pytest.mark.fault(7)
def test_case_07_webp_named_jpg(root):
    noise().save(root / "a" / "x.webp")
    (root / "a" / "y.jpg").write_bytes((root / "a" / "x.webp").read_bytes())
    examples = source.read(root)
    one, other = examples.load(1, 30), examples.load(2, 30)
    assert one.shape == (30, 40, 3)
    np.testing.assert_array_equal(one, other)
    assert examples.notes == (
        "content and suffix disagree in 1: a/y.jpg",
        "1 repeated within their class: a/x.webp = a/y.jpg",
    )


@pytest.mark.parametrize("bits", [1, 8, 24, 32])
@pytest.mark.fault(8)
def test_case_08_bmp_of_any_depth(root, bits):
    image = noise()
    if bits == 32:
        image.putalpha(255)
    image = {1: image.convert("1"), 8: image.quantize(200)}.get(bits, image)
    image.save(root / "a" / "x.bmp")
    content = (root / "a" / "x.bmp").read_bytes()
    assert struct.unpack("<H", content[28:30]) == (bits,)
    np.testing.assert_array_equal(loaded(root, "a/x.bmp"), image.convert("RGB"))


@pytest.mark.fault(9)
def test_case_09_exif_orientation(root):
    stored = [None, 0, 3, 1, 5, 2, 6, 4]  # Image.Transpose that stores 1 to 8
    for orientation, transpose in enumerate(stored, start=1):
        image, exif = noise(), Image.Exif()
        image = image if transpose is None else image.transpose(transpose)
        exif[0x0112] = orientation
        image.save(root / "a" / f"{orientation}.png", exif=exif)
    for orientation in range(1, 9):
        np.testing.assert_array_equal(loaded(root, f"a/{orientation}.png"), noise())


@pytest.mark.fault(10)
def test_case_10_cmyk_jpeg(root):
    flat = Image.new("RGB", (40, 30), (200, 120, 40)).convert("CMYK")
    flat.save(root / "a" / "x.jpg", quality=100)
    picture = loaded(root, "a/x.jpg").astype(int)
    assert np.abs(picture - [200, 120, 40]).max() <= LEVELS
    inks = np.random.default_rng(0).integers(0, 256, [4, 5, 4])
    blocks = np.kron(inks, np.ones([8, 8, 1])).astype(np.uint8)  # of JPEG, each of one colour
    planes = [Image.fromarray(np.ascontiguousarray(blocks[..., i])) for i in range(4)]
    Image.merge("CMYK", planes).save(root / "a" / "y.jpg", quality=100)
    white = 255 - blocks.astype(float)  # what each ink, cyan to black, lets through
    expected = white[..., :3] * white[..., 3:] / 255
    assert np.abs(loaded(root, "a/y.jpg", 32) - expected).max() <= LEVELS


@pytest.mark.fault(11)
def test_case_11_sixteen_bits(root):
    values = np.random.default_rng(0).integers(0, 2**16, [30, 40, 3]).astype(">u2")
    Image.fromarray(values[..., 0].astype(np.uint16)).save(root / "a" / "grey.png")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    (root / "a" / "rgb.png").write_bytes(png(40, 30, depth=16, color=2, rows=rows))
    high = (values >> 8).astype(np.uint8)
    np.testing.assert_array_equal(loaded(root, "a/rgb.png"), high)
    np.testing.assert_array_equal(loaded(root, "a/grey.png"), high[..., :1].repeat(3, axis=2))


@pytest.mark.fault(12)
def test_case_12_transparent_is_laid_on_white(root):
    rng = np.random.default_rng(0)
    color = rng.integers(0, 256, [30, 40, 3])
    alpha = rng.integers(0, 256, [30, 40, 1])
    Image.fromarray(np.concatenate([color, alpha], 2).astype(np.uint8)).save(root / "a" / "x.png")
    expected = color * (alpha / 255) + 255 * (1 - alpha / 255)
    assert np.abs(loaded(root, "a/x.png") - expected).max() <= LEVELS


@pytest.mark.fault(13)
@pytest.mark.fault(14)
def test_case_13_14_too_many_pixels_cost_no_memory(tmp_path):
    claims = tree(tmp_path / "claims")
    (claims / "a" / "x.png").write_bytes(png(60000, 60000, depth=8, color=2, rows=bytes(1000)))
    small = tree(tmp_path / "small")
    squeeze = zlib.compressobj()
    rows = b"".join(squeeze.compress(bytes(1 + 22000 // 8)) for _ in range(22000))
    header = struct.pack(">IIBBBBB", 22000, 22000, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", rows + squeeze.flush()) + chunk(b"IEND", b"")
    (small / "b" / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    assert (small / "b" / "x.png").stat().st_size < 70_000
    said, growth = read_in_a_process(claims, small)
    why = "too many pixels ({} > limit 100000000; --max_pixels); shrink it, or raise the limit"
    assert said == [
        listed(claims, {"a/x.png": why.format(3600000000)}),
        listed(small, {"b/x.png": why.format(484000000)}),
    ]
    assert growth < 100_000  # kB


@pytest.mark.fault(15)
def test_case_15_the_smallest_pictures(root):
    Image.new("RGB", (1, 1), "red").save(root / "a" / "one.png")
    assert loaded(root, "a/one.png", 8).shape == (8, 8, 3)
    assert refused(root, min_size=2) == listed(
        root, {"a/one.png": "too small (1x1, below 2; --min_size); remove it, or lower the limit"}
    )
    Image.new("RGB", (3000, 1)).save(root / "a" / "line.png")
    assert refused(root) == listed(
        root, {"a/line.png": "too thin (3000x1, over 100:1); crop or remove it"}, good=3
    )


@pytest.mark.fault(15)
def test_case_15_one_colour_becomes_zero(root):
    Image.new("RGB", (40, 30), (7, 80, 200)).save(root / "a" / "x.png")
    Image.new("L", (1, 1), 255).save(root / "a" / "y.png")
    flat = Preprocessing(8, 3, 12, 10, True, 0.0, 1.0, 1.0, standardize="channel")
    grey = Preprocessing(8, 3, 12, 10, True, 63.0, 0.2, 1.8, standardize="image")
    examples = source.read(root)
    for preprocessing, index in ((flat, 1), (grey, 2)):
        for make in (pipeline.training_batches, pipeline.evaluation_batches):
            options = {"seed": 0} if make is pipeline.training_batches else {}
            dataset = make(examples, [index], preprocessing, batch_size=1, **options)
            images = next(iter(dataset))[0].numpy()
            assert images.shape == (1, 8, 8, 3)
            assert (images == 0).all()


@pytest.mark.fault(16)
def test_case_16_damaged_png(root):
    noise().save(root / "a" / "x.png")
    whole = (root / "a" / "x.png").read_bytes()
    (root / "a" / "x.png").write_bytes(whole[:-12])
    at = whole.index(b"IDAT") + 100
    (root / "a" / "y.png").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert refused(root) == listed(
        root,
        {
            "a/x.png": "truncated; replace it",
            "a/y.png": "damaged (broken PNG file (bad header checksum in b'IDAT')); replace it",
        },
    )


@pytest.mark.fault(17)
def test_case_17_a_flipped_bit_that_decodes(root, scan):
    path = root / "a" / "x.jpg"
    noise().save(path)
    assert scan(root)[0] == 0
    status, content = path.stat(), bytearray(path.read_bytes())
    content[-40] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert loaded(root, "a/x.jpg").shape == (30, 40, 3)  # nobody can see it in the picture
    code, out, _ = scan(root)
    assert (code, "content changed" in out) == (0, False)  # nor by size and time
    code, out, _ = scan(root, "--verify")
    assert code == 3
    assert f"  bad picture in {path} - content changed since scan; restore it" in out.splitlines()


@pytest.mark.fault(18)
def test_case_18_formats_that_are_not_read(root):
    reasons = {}
    for suffix, format, name in [
        ("tif", "TIFF", "TIFF"),
        ("avif", "AVIF", "AVIF"),
        ("jp2", "JPEG2000", "JPEG 2000"),
    ]:
        noise().save(root / "a" / f"x.{suffix}", format)
        reasons[f"a/x.{suffix}"] = f"unsupported format {name}; convert it to PNG or JPEG"
    noise().save(root / "a" / "y.png", "TIFF")
    reasons["a/y.png"] = "unsupported format TIFF; convert it to PNG or JPEG"
    for suffix, start, name in [  # which Pillow does not write: the box that begins such a file
        ("heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        ("jxl", b"\xff\x0a" + bytes(30), "JPEG XL"),
    ]:
        (root / "a" / f"x.{suffix}").write_bytes(start)
        reasons[f"a/x.{suffix}"] = f"unsupported format {name}; convert it to PNG or JPEG"
    assert refused(root) == listed(root, reasons)


@pytest.mark.parametrize("fault", ["gone", "changed"])
@pytest.mark.fault(19)
def test_case_19_after_the_scan(root, fault):
    examples, path = source.read(root), root / "b" / "good.png"
    if fault == "gone":
        path.unlink()
        why = "no such file; restore or remove it"
    else:
        noise(7).save(path)
        os.utime(path, ns=(1, 1))
        why = "content changed since scan; rerun the command, which scans again"
    plain = Preprocessing(8, 3, 8, 8, False, 0.0, 1.0, 1.0)
    for dataset in (
        pipeline.training_batches(examples, [0, 1], plain, batch_size=2, seed=0),
        pipeline.evaluation_batches(examples, [0, 1], plain, batch_size=2),
    ):
        with pytest.raises(DataError) as caught, pipeline.naming_errors():
            list(dataset.take(1))
        assert str(caught.value) == f"bad picture in {path} - {why}"


@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "bmp", "webp"])
@pytest.mark.fault(20)
def test_case_20_bytes_after_the_picture(root, suffix):
    path = root / "a" / f"x.{suffix}"
    noise().save(path)
    alone = loaded(root, f"a/x.{suffix}")
    noise(1).save(root / "a" / f"y.{suffix}")
    second = (root / "a" / f"y.{suffix}").read_bytes()
    (root / "a" / f"y.{suffix}").unlink()
    for more in (b"more", second):
        noise().save(path)
        path.write_bytes(path.read_bytes() + more)
        examples = source.read(root)
        np.testing.assert_array_equal(examples.load(1, 30), alone)
        assert examples.notes == (f"bytes follow the picture in 1: a/x.{suffix}",)
