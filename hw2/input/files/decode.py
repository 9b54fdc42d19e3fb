"""Decodes image files to RGB: the one decoder of training, evaluation and prediction.

The format is recognized by the first bytes, never by the suffix. Of several frames the first is
used. The EXIF orientation is applied. Transparent pixels are laid on white. 16-bit values keep
their high byte. CMYK is converted to RGB.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageFile

from hw2.errors import DataError
from hw2.input.files import formats, stand_ins
from hw2.input.files import trailing as extent
from hw2.input.files.names import shown
from hw2.input.files.near import near
from hw2.input.files.rules import MAX_PIXELS

VERSION = 2  # of this decoder; raise it when the same file gives other pixels
SHOWN_BYTES = 16  # of what is not an image
DIGEST_BYTES = 16  # of BLAKE2b; a billion images collide with a probability of 1e-21
MAX_ASPECT = 100  # a line of 3000x1 pixels would grow to 600 MB at a short side of 260

ORIENTATION = 0x0112  # EXIF 2.32, section 4.6.4
UPRIGHT = {  # the operation that undoes each orientation; 1 is upright already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Header(NamedTuple):
    """What the header of an image file says."""

    format: str
    animated: bool


class Found(NamedTuple):
    """What was found in a whole image file."""

    format: str
    width: int  # as stored, before any orientation
    height: int
    animated: bool
    trailing: bool  # whether bytes follow the image
    digest: bytes  # of the content


class Stamp(NamedTuple):
    """Size and time of modification of a file, which change when it is written again."""

    size: int
    mtime_ns: int


def picture(
    path: str | os.PathLike[str],
    short_side: int,
    *,
    max_pixels: int = MAX_PIXELS,
    min_size: int = 1,
    stamp: Stamp | None = None,
) -> np.ndarray:
    """Decodes a file to uint8 `[h, w, 3]`, scaled to a short side of `short_side` pixels.

    Args:
      path: A JPEG, PNG, GIF, BMP or WebP file with any name.
      short_side: Short side of the result, in pixels; the aspect is kept.
      max_pixels: Larger images are refused by their header, before memory is allocated.
      min_size: Images with a shorter side are refused.
      stamp: Size and time at the scan; a file that has changed since is refused.

    Raises:
      DataError: The file cannot be read as an image; the message names it and the reason.

    Cost: a large JPEG is decoded at a half, quarter or eighth of its size, as long as that
    leaves twice `short_side`.
    """
    with _naming(path), _opened(path) as file:
        if stamp and stamp_of(os.fstat(file.fileno())) != stamp:
            raise _Refused("content changed since scan", "rerun the command, which scans again")
        return _decoded(file, short_side, max_pixels, min_size)


def picture_in(
    content: bytes,
    name: str,
    short_side: int,
    *,
    max_pixels: int = MAX_PIXELS,
    min_size: int = 1,
    digest: bytes | None = None,
) -> np.ndarray:
    """Decodes the bytes of a file as `picture` does; messages call it `name`.

    Raises:
      DataError: As `picture`, or the digest is not `digest`, the one at the scan.
    """
    with _naming(name):
        if digest is not None and digest_of(content) != digest:
            raise _Refused("content changed since scan", "rerun the command, which scans again")
        return _decoded(_nonempty(content), short_side, max_pixels, min_size)


def header(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Header:
    """Reads the header of a file, and checks that it is an image of an accepted size.

    Raises:
      DataError: It is not; the message names the file and the reason.
    """
    with _naming(path), _opened(path) as file:
        image = _header(file, max_pixels, 1)
        return Header(str(image.format), getattr(image, "is_animated", False))


def inspect(
    path: str | os.PathLike[str],
    *,
    max_pixels: int = MAX_PIXELS,
    min_size: int = 1,
    decode: bool = True,
) -> Found:
    """Reads and checks a whole file; with `decode` set it decodes the pixels too, to check them.

    Raises:
      DataError: As `picture`.

    Cost: the header is checked before anything else is read, and a JPEG is decoded at an eighth
    of its size, which reads all of its data.
    """
    with _naming(path), _opened(path) as file:
        _header(file, max_pixels, min_size)
        if os.fstat(file.fileno()).st_size > 8 * max_pixels + 2**20:  # 64 bits a pixel, stored
            raise _Refused("too many bytes for its pixels", "save it anew")
        file.seek(0)
        return _found(file.read(), max_pixels, min_size, decode)


def inspect_in(
    content: bytes,
    name: str,
    *,
    max_pixels: int = MAX_PIXELS,
    min_size: int = 1,
    decode: bool = True,
) -> Found:
    """Inspects the bytes of a file as `inspect` does; messages call it `name`.

    Raises:
      DataError: As `picture`.
    """
    with _naming(name):
        _nonempty(content)
        return _found(content, max_pixels, min_size, decode)


def content_of(path: str | os.PathLike[str]) -> bytes:
    """Reads the bytes of a regular file.

    Raises:
      DataError: It cannot be read; the message names the file and the reason.
    """
    with _naming(path), _opened(path) as file:
        return file.read()


def digest_of(content: bytes) -> bytes:
    """Hashes the content of a file; trailing zeros are stripped, as in NumPy's bytes."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest().rstrip(b"\0")


def stamp_of(status: os.stat_result) -> Stamp:
    """Returns size and time of modification of a file."""
    return Stamp(status.st_size, status.st_mtime_ns)


def resize(picture: np.ndarray, short_side: int) -> np.ndarray:
    """Scales uint8 `[h, w, c]` to a short side, exactly as `picture` scales what it decodes."""
    height, width, channels = picture.shape
    size = scaled((width, height), short_side)
    if size == (width, height):
        return picture
    planes = [Image.fromarray(np.ascontiguousarray(picture[..., c])) for c in range(channels)]
    return np.stack([np.asarray(_resized(plane, size)) for plane in planes], axis=-1)


def scaled(size: tuple[int, int], short_side: int) -> tuple[int, int]:
    """Returns width and height, scaled so that the shorter of them is `short_side`."""
    short = min(size)
    width, height = ((2 * side * short_side + short) // (2 * short) for side in size)  # rounded
    return width, height


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resizes by a bilinear filter, which widens when it shrinks so that nothing aliases."""
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def _decoded(file: BinaryIO, short_side: int, max_pixels: int, min_size: int) -> np.ndarray:
    image = _header(file, max_pixels, min_size)
    size = scaled(image.size, short_side)
    image = _verified(file, image)
    image.draft(None, (2 * short_side, 2 * short_side))
    image.load()
    orientation = _orientation(image)
    upright: Image.Image = image
    if orientation in UPRIGHT:
        upright = image.transpose(UPRIGHT[orientation])
        size = size if orientation < 5 else size[::-1]  # 5 to 8 turn it on its side
    return np.asarray(_resized(_rgb(upright, opaque=image.format == "BMP"), size))


def _found(content: bytes, max_pixels: int, min_size: int, decode: bool) -> Found:
    file = io.BytesIO(content)
    image = _header(file, max_pixels, min_size)
    kind, (width, height) = str(image.format), image.size
    animated = getattr(image, "is_animated", False)
    if decode:
        image = _verified(file, image)
        image.draft(None, (1, 1))
        image.load()
    trailing = (extent.end(content, kind) or len(content)) < len(content)
    return Found(kind, width, height, animated, trailing, digest_of(content))


def _verified(file: BinaryIO, image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Verifies the checksums of a PNG, which decoding skips."""
    if image.format != "PNG":
        return image
    image.verify()
    file.seek(0)
    return formats.READERS["PNG"](file)


def _header(file: BinaryIO, max_pixels: int, min_size: int) -> ImageFile.ImageFile:
    start = file.read(stand_ins.START_BYTES)
    file.seek(0)
    name = formats.name(start)
    if name is None:
        shown_start = f"not an image (starts with {start[:SHOWN_BYTES]!r})"
        raise _Refused(*(stand_ins.reason(start) or (shown_start, "replace or remove it")))
    if name not in formats.READERS:
        raise _Refused(f"unsupported format {name}", "convert it to PNG or JPEG")
    image = formats.READERS[name](file)
    width, height = image.size
    if width * height > max_pixels:
        raise _Refused(
            f"too many pixels ({width * height} > limit {max_pixels}; --max_pixels)",
            "shrink it, or raise the limit",
        )
    if min(width, height) < min_size:
        raise _Refused(
            f"too small ({width}x{height}, below {min_size}; --min_size)",
            "remove it, or lower the limit",
        )
    if max(image.size) > MAX_ASPECT * min(image.size):
        raise _Refused(f"too thin ({width}x{height}, over {MAX_ASPECT}:1)", "crop or remove it")
    return image


def _orientation(image: ImageFile.ImageFile) -> int:
    """Returns the EXIF orientation, 1 (upright) if there is none or it is damaged."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF makes Pillow raise nearly anything; the pixels are good
        return 1


def _rgb(image: Image.Image, *, opaque: bool = False) -> Image.Image:
    """Converts an image of any mode.

    Args:
      image: The image.
      opaque: Whether an image that is transparent everywhere is meant to be seen, as BMP files
        are whose writer left the alpha channel 0.
    """
    if image.mode.startswith("I"):  # 16-bit grey, which `convert` would clip at 255
        values = np.asarray(image)
        high = (values >> 8).astype(np.uint8)
        high[values == image.info.get("transparency")] = 255
        return Image.fromarray(high).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if opaque and image.getchannel("A").getextrema() == (0, 0):
            return image.convert("RGB")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")  # which would copy it


def _nonempty(content: bytes) -> BinaryIO:
    if not content:
        raise _Refused("empty", "replace or remove it")
    return io.BytesIO(content)


class _Refused(Exception):
    """A reason and a remedy; `_naming` adds the path."""


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # opening a FIFO would wait forever
        raise _Refused("not a regular file", "remove it")
    if status.st_size == 0:
        raise _Refused("empty", "replace or remove it")
    with open(path, "rb") as file:
        yield file


@contextlib.contextmanager
def _naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns any error about a file into a `DataError` that names it."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        why, remedy = _reason(error, path)
        raise DataError(f"bad picture in {shown(path)} - {why}; {remedy}") from error


def _reason(error: Exception, path: str | os.PathLike[str]) -> tuple[str, str]:
    if isinstance(error, _Refused):
        return error.args
    if isinstance(error, FileNotFoundError):
        if os.path.islink(path):
            return "dangling link", "restore or remove it"
        if found := near(path):
            return "no such file", f"did you mean {shown(found)}, which is there?"
        return "no such file", "restore or remove it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower(), "make it readable, or remove it"
    text = shown(str(error)) or type(error).__name__
    return "truncated" if "truncated" in text.lower() else f"damaged ({text})", "replace it"
