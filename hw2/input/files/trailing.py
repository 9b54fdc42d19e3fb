"""Finds where an image ends in its file, so that trailing bytes are noticed."""

from __future__ import annotations

import re

# A JPEG marker, past its fill bytes: neither a stuffed zero nor a restart (ITU T.81, B.1.1).
_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
_JPEG_END, _JPEG_BARE = b"\xd9", (b"\x01", b"\xd8")  # the latter have no length


def end(content: bytes, format: str) -> int | None:
    """Returns the number of bytes that the first image takes, or None if it has no end.

    Args:
      content: The whole file.
      format: As `formats.name` calls it: JPEG, PNG, GIF, BMP or WEBP.
    """
    return {"JPEG": _jpeg, "PNG": _png, "GIF": _gif, "BMP": _bmp, "WEBP": _webp}[format](content)


def _jpeg(content: bytes) -> int | None:
    at = 2
    while marker := _JPEG_MARKER.search(content, at):
        if marker[1] == _JPEG_END:
            return marker.end()
        at = marker.end()
        if marker[1] not in _JPEG_BARE:
            at += int.from_bytes(content[at : at + 2], "big")
    return None


def _png(content: bytes) -> int | None:
    at = 8
    while at + 12 <= len(content):
        kind, length = content[at + 4 : at + 8], int.from_bytes(content[at : at + 4], "big")
        at += 12 + length
        if kind == b"IEND":
            return at
    return None


def _gif(content: bytes) -> int | None:
    """Skips blocks until the trailer, by appendix B of the GIF89a specification."""
    at = 13 + _gif_colours(content[10:11])
    while content[at : at + 1] not in (b"", b"\x3b"):
        if content[at] == 0x2C:  # an image
            at += 11 + _gif_colours(content[at + 9 : at + 10])
        elif content[at] == 0x21:  # an extension
            at += 2
        else:
            return None
        while size := content[at : at + 1][:1].strip(b"\0"):  # sub-blocks, the last one empty
            at += 1 + size[0]
        at += 1
    return at + 1 if at < len(content) else None


def _gif_colours(flags: bytes) -> int:
    return 3 * 2 ** ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


def _bmp(content: bytes) -> int | None:
    size = int.from_bytes(content[2:6], "little")
    return size if 14 <= size <= len(content) else None  # many writers leave it 0


def _webp(content: bytes) -> int | None:
    size = int.from_bytes(content[4:8], "little")
    return 8 + size + size % 2
