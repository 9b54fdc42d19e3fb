"""What image files hold beside their pixels, where it stands in the way of them.

Text, colour profiles and camera data may be damaged, or be a few kilobytes that unpack to
megabytes, which Pillow refuses together with the picture. The pixels are good all the same.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
# What decides how a PNG looks: pixels, palette, transparency, frames, orientation, bits.
_CHUNKS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"acTL", b"fcTL", b"fdAT", b"eXIf", b"sBIT"}
_SEGMENTS = {*range(0xE1, 0xEE), 0xEF, 0xFE}  # APP1 to APP13, APP15, a comment; APP14 has colour
_HEAD_BYTES = 2**16  # of a PNG, in which its sBIT is if it has one
_BARE = {0x01, *range(0xD0, 0xD9)}  # JPEG markers without a length


def removed(content: bytes) -> bytes:
    """Returns a PNG or a JPEG without its metadata; any other file as it is."""
    if content.startswith(PNG):
        return b"".join([PNG, *(chunk for kind, chunk in _chunks(content) if kind in _CHUNKS)])
    return _bare_jpeg(content) if content.startswith(JPEG) else content


def significant_bits(file: BinaryIO) -> int:
    """Returns how many bits of a 16-bit grey PNG carry information, as its sBIT says; else 16.

    The file stays where it is.

    Source: Portable Network Graphics (third edition), 11.3.2.7.
    """
    at = file.tell()
    file.seek(0)
    start = file.read(_HEAD_BYTES)
    file.seek(at)
    if not start.startswith(PNG) or start[24:26] not in (b"\x10\x00", b"\x10\x04"):
        return 16
    for kind, chunk in _chunks(start):
        if kind == b"sBIT" and len(chunk) > 8:
            return chunk[8] if 0 < chunk[8] < 16 else 16
        if kind in (b"IDAT", b"PLTE"):
            break
    return 16


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the kind and the bytes of each chunk of a PNG; the last may be cut short."""
    at = len(PNG)
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, content[at : at + length + 12]
        at += length + 12
        if kind == b"IEND":
            return


def _bare_jpeg(content: bytes) -> bytes:
    """Drops segments before the first scan."""
    kept, at = [JPEG], len(JPEG)
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xDA:  # the scan, and all that follows
            break
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if marker not in _SEGMENTS:
            kept.append(content[at:end])
        at = end
    return b"".join([*kept, content[at:]])
