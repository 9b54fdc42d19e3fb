"""Decodes image files to RGB: the one decoder of training, evaluation and prediction.

The format is recognized by the first bytes, never by the suffix. Of several frames the first is
used. The EXIF orientation is applied. Transparent pixels are laid on white. 16-bit values keep
their high byte. CMYK is converted to RGB.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageFile

from hw2.input.files import flat, formats, frame, metadata, stand_ins
from hw2.input.files import trailing as extent
from hw2.input.files.frame import Size
from hw2.input.files.names import beginning
from hw2.input.files.opening import Refused, check_size, naming, opened
from hw2.input.files.rules import MAX_PIXELS

VERSION = 2  # of this decoder; raise it when the same file gives other pixels
SHOWN_BYTES = 16  # of what is not an image
DIGEST_BYTES = 16  # of BLAKE2b; a billion images collide with a probability of 1e-21

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


Result = TypeVar("Result")


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
    flat: bool  # whether nearly all pixels are of one level; False if they were not decoded
    digest: bytes  # of the content


class Stamp(NamedTuple):
    """Size and time of modification of a file, which change when it is written again."""

    size: int
    mtime_ns: int


def picture(
    path: str | os.PathLike[str],
    wanted: Size,
    *,
    max_pixels: int = MAX_PIXELS,
    min_size: int = 1,
    stamp: Stamp | None = None,
) -> np.ndarray:
    """Decodes a file to uint8 `[h, w, 3]`, scaled to a short side or to a frame.

    Args:
      path: A JPEG, PNG, GIF, BMP or WebP file with any name.
      wanted: Short side of the result, in pixels, where the aspect is kept; or its frame.
      max_pixels: Larger images are refused by their header, before memory is allocated.
      min_size: Images with a shorter side are refused.
      stamp: Size and time at the scan; a file that has changed since is refused.

    Raises:
      DataError: The file cannot be read as an image; the message names it and the reason.

    Cost: a large JPEG is decoded at a half, quarter or eighth of its size, as long as that
    leaves twice the short side that is wanted.
    """
    with naming(path), opened(path) as file:
        if stamp and stamp_of(os.fstat(file.fileno())) != stamp:
            raise Refused("content changed since scan", "rerun the command, which scans again")
        return _despite_metadata(file, _decoded, wanted, max_pixels, min_size)


def picture_in(
    content: bytes,
    name: str,
    wanted: Size,
    *,
    max_pixels: int = MAX_PIXELS,
    min_size: int = 1,
    digest: bytes | None = None,
) -> np.ndarray:
    """Decodes the bytes of a file as `picture` does; messages call it `name`.

    Raises:
      DataError: As `picture`, or the digest is not `digest`, the one at the scan.
    """
    with naming(name):
        if digest is not None and digest_of(content) != digest:
            raise Refused("content changed since scan", "rerun the command, which scans again")
        file = _nonempty(content)
        return _despite_metadata(file, _decoded, wanted, max_pixels, min_size)


def header(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Header:
    """Reads the header of a file, and checks that it is an image of an accepted size.

    Raises:
      DataError: It is not; the message names the file and the reason.
    """
    with naming(path), opened(path) as file:
        image = _despite_metadata(file, _header, max_pixels, 1)
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
    with naming(path), opened(path) as file:
        _despite_metadata(file, _header, max_pixels, min_size)
        file.seek(0)
        return _inspected(file.read(), max_pixels, min_size, decode)


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
    with naming(name):
        _nonempty(content)
        return _inspected(content, max_pixels, min_size, decode)


def content_of(path: str | os.PathLike[str]) -> bytes:
    """Reads the bytes of a regular file.

    Raises:
      DataError: It cannot be read; the message names the file and the reason.
    """
    with naming(path), opened(path) as file:
        return file.read()


def digest_of(content: bytes) -> bytes:
    """Hashes the content of a file; trailing zeros are stripped, as in NumPy's bytes."""
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest().rstrip(b"\0")


def stamp_of(status: os.stat_result) -> Stamp:
    """Returns size and time of modification of a file; beyond the year 2262 the time wraps."""
    return Stamp(status.st_size, (status.st_mtime_ns + 2**63) % 2**64 - 2**63)


def resize(picture: np.ndarray, wanted: Size) -> np.ndarray:
    """Scales uint8 `[h, w, c]`, exactly as `picture` scales what it decodes."""
    height, width, channels = picture.shape
    size = frame.scaled((width, height), wanted)
    if size != (width, height):
        planes = [Image.fromarray(np.ascontiguousarray(picture[..., c])) for c in range(channels)]
        picture = np.stack([np.asarray(_resized(plane, size)) for plane in planes], axis=-1)
    return frame.padded(picture, wanted)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resizes by a bilinear filter, which widens when it shrinks so that nothing aliases."""
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def _despite_metadata(file: BinaryIO, read: Callable[..., Result], *options: Size | bool) -> Result:
    """Calls `read(file, *options)`, and again without the metadata of the file if that fails."""
    try:
        return read(file, *options)
    except (MemoryError, Refused):
        raise
    except Exception:  # damaged metadata makes Pillow raise nearly anything
        file.seek(0)
        content = file.read()
        bare = metadata.removed(content)
        if bare == content:
            raise
    return read(io.BytesIO(bare), *options)


def _decoded(file: BinaryIO, wanted: Size, max_pixels: int, min_size: int) -> np.ndarray:
    image = _header(file, max_pixels, min_size)
    size, side = frame.scaled(image.size, wanted), frame.side_of(wanted)
    bits = metadata.significant_bits(file)
    image = _verified(file, image)
    image.draft(None, (2 * side, 2 * side))
    image.load()
    orientation = _orientation(image)
    upright: Image.Image = image
    if orientation in UPRIGHT:
        upright = image.transpose(UPRIGHT[orientation])
        size = size if orientation < 5 else size[::-1]  # 5 to 8 turn it on its side
    rgb = _rgb(upright, bits, opaque=image.format == "BMP")
    return frame.padded(np.asarray(_resized(rgb, size)), wanted)


def _inspected(content: bytes, max_pixels: int, min_size: int, decode: bool) -> Found:
    file = io.BytesIO(content)
    found = _despite_metadata(file, _found, max_pixels, min_size, decode)
    trailing = (extent.end(content, found.format) or len(content)) < len(content)
    return found._replace(trailing=trailing, digest=digest_of(content))


def _found(file: BinaryIO, max_pixels: int, min_size: int, decode: bool) -> Found:
    """Inspects an image, but for its content as bytes."""
    image = _header(file, max_pixels, min_size)
    kind, (width, height) = str(image.format), image.size
    animated = getattr(image, "is_animated", False)
    is_flat = False
    if decode:
        bits = metadata.significant_bits(file)
        image = _verified(file, image)
        image.draft(None, (1, 1))
        image.load()
        is_flat = _is_flat(image, bits)
        if is_flat and image.size != (width, height):  # fine detail is gone at an eighth
            image = _header(file, max_pixels, min_size)
            image.load()
            is_flat = _is_flat(image, bits)
    return Found(kind, width, height, animated, False, is_flat, b"")


def _is_flat(image: ImageFile.ImageFile, bits: int) -> bool:
    """Whether nearly all pixels are of one level, by some thousand of them."""
    size = (min(image.width, flat.SIDE), min(image.height, flat.SIDE))
    few = image.resize(size, Image.Resampling.NEAREST)
    return flat.spread(np.asarray(_rgb(few, bits))) <= flat.SPREAD


def _verified(file: BinaryIO, image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Verifies the checksums of a PNG, which decoding skips."""
    if image.format != "PNG":
        return image
    image.verify()
    file.seek(0)
    return formats.READERS["PNG"](file)


def _header(file: BinaryIO, max_pixels: int, min_size: int) -> ImageFile.ImageFile:
    if file.seek(0, os.SEEK_END) > 8 * max_pixels + 2**20:  # 64 bits a pixel, stored
        raise Refused("too many bytes for its pixels", "save it anew")
    file.seek(0)
    start = file.read(stand_ins.START_BYTES)
    file.seek(0)
    name = formats.name(start)
    if name is None:
        shown_start = f"not an image (starts with {beginning(start[:SHOWN_BYTES])})"
        reason = stand_ins.reason(start, "picture")
        raise Refused(*(reason or (shown_start, "replace or remove it")))
    if name not in formats.READERS:
        raise Refused(f"unsupported format {name}", "convert it to PNG or JPEG")
    image = formats.READERS[name](file)
    check_size(*image.size, max_pixels, min_size)
    return image


def _orientation(image: ImageFile.ImageFile) -> int:
    """Returns the EXIF orientation, 1 (upright) if there is none or it is damaged."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF makes Pillow raise nearly anything; the pixels are good
        return 1


def _rgb(image: Image.Image, bits: int = 16, *, opaque: bool = False) -> Image.Image:
    """Converts an image of any mode.

    Args:
      image: The image.
      bits: How many bits of a 16-bit value are used.
      opaque: Whether an image that is transparent everywhere is meant to be seen, as BMP files
        are whose writer left the alpha channel 0.
    """
    if image.mode.startswith("I"):  # 16-bit grey, which `convert` would clip at 255
        values = np.asarray(image)
        unused = (1 << (16 - bits)) - 1
        if bits < 16 and values.max() < 1 << bits and (values & unused).any():
            # A writer that left the values in the low bits, where PNG wants them in the high ones.
            values = (values.astype(np.uint32) * 65535 // ((1 << bits) - 1)).astype(np.uint16)
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
        raise Refused("empty", "replace or remove it")
    return io.BytesIO(content)
