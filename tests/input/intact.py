"""Good files of every format, for tests that damage them."""

import gzip
import io
import struct
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

PICTURES = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
REFUSED = ("TIFF", "AVIF", "JPEG2000", "ICO", "PPM")  # refused by name, damaged or not
ARRAYS = ("npy", "npz", "idx", "labels_npy", "labels_csv")
LABELS = np.array([0, 1, 0, 1])


def pictures(format: str) -> list[bytes]:
    """Good files of a format, of several kinds."""
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, [12, 16, 3], np.uint8))
    deep = Image.fromarray(rng.integers(0, 2**16, [9, 9], np.uint16))
    exif = Image.Exif()
    exif[0x0112] = 6
    moving = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
    kinds = {
        "JPEG": [
            (photo, {}),
            (photo, {"exif": exif, "progressive": True}),
            (photo.convert("CMYK"), {}),
            (photo.convert("L"), {"optimize": True}),
        ],
        "PNG": [
            (photo, {"exif": exif}),
            (photo.quantize(9), {"transparency": 3}),
            (photo.convert("RGBA"), {}),
            (deep, {}),
            (photo, moving),
        ],
        "GIF": [
            (photo, {}),
            (photo.quantize(9), {"transparency": 3, "comment": b"x"}),
            (photo, moving),
        ],
        "BMP": [(photo, {}), (photo.convert("1"), {}), (photo.quantize(9), {})],
        "WEBP": [
            (photo, {}),
            (photo.convert("RGBA"), {"lossless": True, "exif": exif}),
            (photo, moving),
            (photo.convert("RGBA"), moving),
        ],
        "TIFF": [(photo, {}), (deep, {}), (photo, moving), (photo, {"big_tiff": True})],
        "AVIF": [(photo, {})],
        "JPEG2000": [(photo, {})],
        "ICO": [(photo, {})],
        "PPM": [(photo, {})],
    }[format]
    return [_saved(image, format, options) for image, options in kinds]


def _saved(image: Image.Image, format: str, options: dict) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def images(floats: bool = False) -> np.ndarray:
    """Four grey pictures, `[4, 5, 6]`."""
    values = np.random.default_rng(0).integers(0, 256, [4, 5, 6], np.uint8)
    return values / 255 if floats else values


def arrays(kind: str) -> list[bytes]:
    """Good files that hold many pictures, or their labels."""
    if kind == "npy":
        return [_npy(images()), _npy(images(floats=True)), _npy(np.asfortranarray(images()))]
    if kind == "npz":
        plain, packed = io.BytesIO(), io.BytesIO()
        np.savez(plain, images=images(), labels=LABELS)
        np.savez_compressed(packed, images=images(), labels=LABELS)
        return [plain.getvalue(), packed.getvalue()]
    if kind == "idx":
        plain = struct.pack(">HBB3I", 0, 8, 3, *images().shape) + images().tobytes()
        return [plain, gzip.compress(plain)]
    if kind == "labels_npy":
        return [_npy(LABELS), _npy(np.array(["cat", "dog", "cat", "dog"])), _npy(LABELS[:, None])]
    return [
        b"label\n0\n1\n0\n1\n",
        b"id,label\n4,b\n2,b\n1,a\n3,a\n",
        b'\xef\xbb\xbflabel\r\n"0"\r\n1\r\n0\r\n1',
    ]


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def lists() -> list[bytes]:
    """Good lists of the pictures x.png and y.png."""
    return [
        b"file,class\nx.png,a\ny.png,b\n",
        b'\xef\xbb\xbffile,class\r\n"x.png",1\r\ny.png,2',
        'path,species\n./x.png,"caf\u00e9, black"\ny.png,\u732b\n'.encode(),
    ]


def flagfiles() -> list[bytes]:
    """Good flagfiles."""
    return [
        b"--batch_size=8\n--learning_rate=0.01  # a note\n--noflip\n[mine]\n--model=s1\n",
        b'\xef\xbb\xbf# note\r\n--train_data_path="a #1"\r\n--standardize=imagenet\r\n--seed=3\r\n',
        b"--section=two\n--augmentation=strong\n[one]\n--mixup=0.3\n[two]\n--mixup=0\n--flip\n",
    ]


def shard() -> bytes:
    """A good TFRecord shard."""
    import tensorflow as tf

    from hw2.input.sources import records

    with tempfile.NamedTemporaryFile() as file, tf.io.TFRecordWriter(file.name) as writer:
        for number, content in enumerate(pictures("PNG")):
            writer.write(
                records.example(content, ["ab"[number % 2]], [number % 2], f"{number}.png")
            )
        writer.flush()
        return Path(file.name).read_bytes()
