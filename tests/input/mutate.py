"""Reads damaged copies of good files, many of each format: a process that a crash would end.

    python tests/input/mutate.py COUNT SEED FORMAT...

Prints one line of JSON: for each format, how many copies were read, and how many refused by name.
What is neither ends the process with an error that says which copy it was.
"""

import faulthandler
import gzip
import io
import json
import resource
import signal
import struct
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from hw2.errors import DataError
from hw2.input import source
from hw2.input.files import decode

SECONDS = 20  # for one file, of the processor: they take milliseconds
MAX_PIXELS = 4_000_000
PICTURES = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
OTHERS = ("npy", "npz", "csv", "idx", "tfrecord")


def pictures(format: str) -> list[bytes]:
    """Good files of a format, of several kinds."""
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, [12, 16, 3], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
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
            (Image.fromarray(rng.integers(0, 2**16, [9, 9], np.uint16)), {}),
        ],
        "GIF": [(photo, {}), (photo.quantize(9), {"transparency": 3, "comment": b"x"})],
        "BMP": [(photo, {}), (photo.convert("1"), {}), (photo.quantize(9), {})],
        "WEBP": [(photo, {}), (photo.convert("RGBA"), {"lossless": True, "exif": exif})],
    }[format]
    if format in ("GIF", "PNG", "WEBP"):
        moving = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
        kinds.append((photo, moving))
        if format == "WEBP":
            kinds.append((photo.convert("RGBA"), moving))
    return [_saved(image, format, options) for image, options in kinds]


def _saved(image: Image.Image, format: str, options: dict) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def others(kind: str) -> list[bytes]:
    """Good files that hold many pictures, or name them."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, [4, 5, 6], np.uint8)
    buffer = io.BytesIO()
    if kind == "npy":
        np.save(buffer, images)
        floats = io.BytesIO()
        np.save(floats, images / 255)
        return [buffer.getvalue(), floats.getvalue()]
    if kind == "npz":
        np.savez(buffer, images=images, labels=np.arange(4) % 2)
        packed = io.BytesIO()
        np.savez_compressed(packed, images=images, labels=np.arange(4) % 2)
        return [buffer.getvalue(), packed.getvalue()]
    if kind == "csv":
        return [
            b"file,class\nx.png,a\ny.png,b\n",
            b'\xef\xbb\xbffile,class\r\n"x.png",1\r\ny.png,2',
        ]
    if kind == "idx":
        plain = struct.pack(">HBB3I", 0, 8, 3, *images.shape) + images.tobytes()
        return [plain, gzip.compress(plain)]
    import tensorflow as tf

    from hw2.input.sources import records

    with tempfile.NamedTemporaryFile() as file, tf.io.TFRecordWriter(file.name) as writer:
        for number, content in enumerate(pictures("PNG")):
            writer.write(records.example(content, "ab"[number % 2], number % 2, f"{number}.png"))
        writer.flush()
        return [Path(file.name).read_bytes()]


def mutated(content: bytes, format: str, rng: np.random.Generator) -> bytes:
    """Changes a few bytes, or cuts, doubles, swaps or takes out a piece."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at, other = sorted(rng.integers(0, max(len(data), 1), 2).tolist())
        kind = rng.integers(0, 8)
        if kind <= 2 and data:  # most damage is small
            data[at] = rng.integers(0, 256)
        elif kind == 3 and data:
            data[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 4:
            data[at : at + 4] = rng.choice([0, 255, 1, 128], 4).astype(np.uint8).tobytes()
        elif kind == 5:
            data[other:] = b"" if rng.random() < 0.5 else data[at:other]
        elif kind == 6:
            data[at:at] = data[at : min(other, at + 40)]
        else:
            del data[at : min(other, at + 20)]
    if format == "PNG" and rng.random() < 0.7:  # else few copies come past the checksums
        _mend(data)
    return bytes(data)


def _mend(data: bytearray) -> None:
    """Writes the checksums that the chunks of a PNG should have."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        data[end : end + 4] = struct.pack(">I", zlib.crc32(data[at + 4 : end]))
        at = end + 4


def read(path: Path, format: str) -> bool:
    """Whether a file is accepted; what is refused must be refused by name."""
    try:
        if format in PICTURES:
            decode.inspect(path, max_pixels=MAX_PIXELS)
            picture = decode.picture(path, 12, max_pixels=MAX_PIXELS)
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
                raise RuntimeError(f"{picture.dtype} {picture.shape} is no picture")
            if min(picture.shape[:2]) != 12:
                raise RuntimeError(f"{picture.shape} has another short side")
            return True
        examples = source.read(path.parent if format == "idx" else path)
        for index in range(len(examples)):
            picture = examples.load(index, 12)
            if picture.dtype != np.uint8 or picture.shape[2] != examples.channels:
                raise RuntimeError(f"{picture.dtype} {picture.shape} is no picture")
        return True
    except DataError as error:
        # An unknown header of a list, or a class too few: the folder or the file is named.
        if str(path) not in str(error) or "Traceback" in str(error):
            raise RuntimeError(f"the file is not named: {error}") from error
        return False


def main(count: int, seed: int, *formats: str) -> None:
    """Damages and reads `count` files of each format."""
    faulthandler.enable()
    soft = 4 * 2**30 + (2**33 if "tfrecord" in formats else 0)
    resource.setrlimit(resource.RLIMIT_AS, (soft, soft))
    signal.signal(signal.SIGVTALRM, lambda *_: (_ for _ in ()).throw(TimeoutError("it hangs")))
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for format in formats:
            rng = np.random.default_rng([seed, (*PICTURES, *OTHERS).index(format)])
            good = pictures(format) if format in PICTURES else others(format)
            path = _prepared(Path(folder), format)
            for content in good:  # or nothing would be shown by what is refused
                path.write_bytes(content)
                if not read(path, format):
                    raise RuntimeError(f"a good {format} is refused")
            accepted = 0
            for number in range(count):
                content = mutated(good[number % len(good)], format, rng)
                path.write_bytes(content)
                signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
                try:
                    accepted += read(path, format)
                except BaseException as error:
                    kept = Path(tempfile.gettempdir()) / f"hw2-{format}-{seed}-{number}"
                    kept.write_bytes(content)
                    raise RuntimeError(f"{format} {number} of seed {seed}, see {kept}") from error
                finally:
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            results[format] = [accepted, count - accepted]
    print(json.dumps(results))


def _prepared(folder: Path, format: str) -> Path:
    """Where the damaged file goes, and what has to be beside it."""
    place = folder / format
    place.mkdir()
    if format == "npy":
        np.save(place / "x_labels.npy", np.arange(4) % 2)
    if format == "csv":
        for number, name in enumerate("xy"):
            Image.new("RGB", (5, 5), (number, 0, 0)).save(place / f"{name}.png")
    if format == "idx":
        labels = struct.pack(">HBBI", 0, 8, 1, 4) + bytes([0, 1, 0, 1])
        (place / "train-labels-idx1-ubyte").write_bytes(labels)
        return place / "train-images-idx3-ubyte"
    return place / f"x.{format}"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
