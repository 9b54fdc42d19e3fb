"""The body of a request: as much of it as there is room for, and the picture in it."""

from __future__ import annotations

import contextlib
import email.message
import email.parser
import io
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from hw2.serve.refusal import Refusal

MOST = 32 * 2**20  # bytes of one picture file
ALL = 128 * 2**20  # bytes of the bodies that are in memory at once
_CHUNK = 2**16
_HEAD = 2**13  # bytes of the head of a part
_PARTS = 32  # of a form: each takes time, and a page sends one


class Room:
    """The memory that all bodies share. A slow request has only what has arrived."""

    def __init__(self, most: int = ALL):
        self._free = most
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def shared(self) -> Iterator[Callable[[int], None]]:
        """Yields a function that takes bytes of the memory; they are given back at the end."""
        taken = 0

        def take(count: int) -> None:
            nonlocal taken
            with self._lock:
                if count > self._free:
                    raise Refusal(503, "no room for more pictures now - try again")
                self._free -= count
                taken += count

        try:
            yield take
        finally:
            with self._lock:
                self._free += taken


def length(headers: email.message.Message) -> int:
    """The number of bytes that the head of a request announces.

    Raises:
      Refusal: It says none, or too many.
    """
    if headers.get("Transfer-Encoding"):
        raise Refusal(411, "the length must be given - send a Content-Length, not chunks")
    text = headers.get("Content-Length", "")
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise Refusal(411, "the length must be given - send a Content-Length")
    if int(text) > MOST:
        raise Refusal(
            413, f"too large ({int(text):,} bytes, over {MOST:,}) - make the picture smaller"
        )
    return int(text)


def read(file: io.BufferedReader[Any], count: int, take: Callable[[int], None]) -> bytes:
    """Reads a body as it arrives.

    Raises:
      Refusal: It ends early, or there is no room.
    """
    chunks = []
    while count:
        chunk = file.read1(min(count, _CHUNK))
        if not chunk:
            raise Refusal(400, "the request ended before its body did - send it again")
        take(len(chunk))
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def picture(content_type: str, body: bytes) -> tuple[bytes, str]:
    """Finds the picture in a body: the body itself, or the first file of a form.

    Returns:
      Its bytes, and its name in messages.

    Raises:
      Refusal: The form is damaged, has no file, or has too many parts.
    """
    kind = _parsed(f"Content-Type: {content_type}")
    if kind.get_content_type() != "multipart/form-data":
        return body, "the request"
    with _refusing_damage():
        boundary = kind.get_boundary("").encode("latin-1", "replace")
    if not 1 <= len(boundary) <= 70:  # RFC 2046, section 5.1.1
        raise Refusal(400, "damaged form - it must name its boundary; send the bytes alone")
    # What is before the first part is dropped; what is after the last one has no head.
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, _PARTS + 2)
    if len(parts) > _PARTS + 1:
        raise Refusal(
            400, f"a form of more than {_PARTS} parts - send the bytes of a picture alone"
        )
    for part in parts:
        end = part.find(b"\r\n\r\n", 0, _HEAD)
        if end < 0:
            continue
        with _refusing_damage():
            # Browsers send the name of a file as UTF-8.
            name = _parsed(part[:end].strip().decode("utf-8", "replace")).get_filename()
        if name:
            return part[end + 4 :], name[-80:]
    raise Refusal(400, "no file in the form - send one, or the bytes of a picture alone")


def _parsed(head: str) -> email.message.Message:
    return email.parser.HeaderParser().parsestr(head)


@contextlib.contextmanager
def _refusing_damage() -> Iterator[None]:
    """Refuses a form with a parameter in a character set that Python cannot read."""
    try:
        yield
    except ValueError as error:
        raise Refusal(
            400, f"damaged form - {error}; send the bytes of the picture alone"
        ) from error
