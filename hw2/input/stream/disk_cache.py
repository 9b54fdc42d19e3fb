"""A cache of decoded images on disk, kept from one start to the next.

A folder holds segments of two files each: pixels one after another, and an index of them. Each
process writes a segment of its own and reads all of them. An image is found by the hash of its
file's content, so a file that has changed is never confused with its older version; whatever else
the pixels depend on is part of the folder's name. A row of the index counts only if its checksum
fits the pixels, so a process may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sys
import threading
import time
import uuid
import zlib
from collections.abc import Callable

import numpy as np
import PIL
from PIL import features

from hw2.errors import writing
from hw2.input.examples import Examples
from hw2.input.files import decode
from hw2.input.files.duplicates import DIGEST
from hw2.input.files.frame import Frame, Size
from hw2.input.files.names import shown

ROW = np.dtype(
    [
        ("digest", DIGEST),
        ("offset", "<i8"),
        ("height", "<i4"),
        ("width", "<i4"),
        ("channels", "<i4"),
        ("checksum", "<u4"),  # CRC-32 of the row before this field, and of the pixels
    ]
)
PIXELS, INDEX = ".pixels", ".index"
RESERVE = 2**30  # bytes of the disk to leave free for checkpoints


def kept(
    examples: Examples,
    folder: str,
    *,
    reserve: int = RESERVE,
    warn: Callable[[str], None] | None = None,
) -> Examples:
    """Returns the same examples, but each image is decoded once and then read from the disk.

    Args:
      examples: Examples from image files or records. Others need no decoding, and only get a note.
      folder: Where to keep pixels; it is created if missing.
      reserve: Bytes to leave free on its disk.
      warn: Called once with a sentence if the disk is full, after which images are decoded every
        time; by default it writes to stderr.

    Raises:
      RunError: The folder cannot be created.
    """
    digests, content = examples.digests, examples.content
    if not examples.from_content or digests is None or content is None:
        note = "nothing is kept on disk: these pictures need no decoding"
        return dataclasses.replace(examples, notes=(*examples.notes, note))
    with writing(folder):
        os.makedirs(folder, exist_ok=True)
    caches: dict[Size, DiskCache] = {}
    lock = threading.Lock()

    def load(index: int, size: Size) -> np.ndarray:
        with lock:
            if size not in caches:
                path = os.path.join(folder, _rules(size))
                caches[size] = DiskCache(path, reserve=reserve, warn=warn or _warn)
        cache, digest = caches[size], bytes(digests[index])
        picture = cache.get(digest)
        if picture is None:
            picture = examples.load(index, size)
            if digest and decode.digest_of(content(index)) == digest:
                cache.put(digest, picture)
        return picture

    return dataclasses.replace(examples, load=load)


class DiskCache:
    """Images by the hash of their content; safe to use from several threads and processes."""

    def __init__(self, folder: str, *, reserve: int, warn: Callable[[str], None]):
        """Reads the indices that exist; it does not see what other processes write later.

        Args:
          folder: The folder of the segments, created with the first image.
          reserve: Bytes to leave free on its disk.
          warn: Called with a sentence once the disk is full.
        """
        self.folder, self.reserve, self.warn = folder, reserve, warn
        self.lock = threading.Lock()
        self.files: list[int] = []  # descriptors of pixels
        self.added: dict[bytes, tuple[int, np.void]] = {}  # file and row
        self.writer: tuple[int, int, int] | None = None  # number of its file, pixels and index
        self.full = False
        row_blocks, number_blocks = [np.zeros(0, ROW)], [np.zeros(0, np.int64)]
        for name in sorted(_segments(folder)):
            with contextlib.suppress(
                OSError
            ):  # unreadable or deleted: its images are decoded again
                found = self._open(name)
                row_blocks.append(found)
                number_blocks.append(np.full(len(found), len(self.files) - 1))
        rows, numbers = np.concatenate(row_blocks), np.concatenate(number_blocks)
        order = np.argsort(rows["digest"], kind="stable")
        self.rows, self.numbers = rows[order], numbers[order]
        self.digests = self.rows["digest"].copy()  # in one piece, to be searched

    def get(self, digest: bytes) -> np.ndarray | None:
        """Returns an image, uint8 `[h, w, channels]`; None if it is missing or damaged."""
        number, row = self.added.get(digest, (-1, None))
        if row is None:
            # The last of several: it was written because an earlier one was damaged.
            place = int(np.searchsorted(self.digests, np.array(digest, DIGEST), "right")) - 1
            if not digest or place < 0 or self.digests[place] != digest:
                return None
            number, row = int(self.numbers[place]), self.rows[place]
        shape = (int(row["height"]), int(row["width"]), int(row["channels"]))
        try:
            pixels = os.pread(self.files[number], shape[0] * shape[1] * shape[2], row["offset"])
        except OSError:
            return None
        if row["checksum"] != _checksum(row, pixels):
            return None
        return np.frombuffer(pixels, np.uint8).reshape(shape)

    def put(self, digest: bytes, picture: np.ndarray) -> None:
        """Stores an image, unless the disk is full."""
        with self.lock:
            if self.full or digest in self.added:  # another thread was as fast
                return
            try:
                self._append(digest, np.ascontiguousarray(picture))
            except OSError as error:
                self.full = True
                why = (error.strerror or str(error)).lower()
                self.warn(
                    f"no more pictures are kept in {shown(self.folder)} - {why}; the others are "
                    "decoded every time"
                )

    def _append(self, digest: bytes, picture: np.ndarray) -> None:
        """Writes the pixels first, then the row that says where they are."""
        if self.writer is None:
            self.writer = self._begin()
        number, pixels, index = self.writer
        space = os.fstatvfs(pixels)
        if space.f_bavail * space.f_frsize < self.reserve + picture.nbytes:
            megabytes = self.reserve >> 20
            raise OSError(0, f"no space left but the {megabytes} megabytes to keep free")
        row = np.zeros(1, ROW)[0]
        offset = os.lseek(pixels, 0, os.SEEK_END)
        row["digest"], row["offset"] = digest, offset
        row["height"], row["width"], row["channels"] = picture.shape
        row["checksum"] = _checksum(row, picture.data)
        _write(pixels, picture.data.cast("B"))
        _write(index, memoryview(row.tobytes()))
        self.added[digest] = (number, row)

    def _begin(self) -> tuple[int, int, int]:
        os.makedirs(self.folder, exist_ok=True)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"  # sorts by the time of creation
        path = os.path.join(self.folder, name)
        create = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        pixels = os.open(path + PIXELS, create, 0o666)
        self.files.append(pixels)
        return len(self.files) - 1, pixels, os.open(path + INDEX, create, 0o666)

    def _open(self, name: str) -> np.ndarray:
        """Opens a segment, and reads the rows whose pixels lie within the file."""
        path = os.path.join(self.folder, name)
        with open(path + INDEX, "rb") as file:
            content = file.read()
        self.files.append(os.open(path + PIXELS, os.O_RDONLY | os.O_CLOEXEC))
        whole = len(content) // ROW.itemsize * ROW.itemsize
        rows = np.frombuffer(content[:whole], ROW)
        sizes = rows["height"].astype(np.int64) * rows["width"] * rows["channels"]
        end = os.fstat(self.files[-1]).st_size
        sound = (rows["offset"] >= 0) & (sizes > 0) & (rows["offset"] + sizes <= end)
        return rows[sound & (rows["height"] > 0) & (rows["width"] > 0)]

    def __del__(self):
        for descriptor in [*self.files, *(self.writer[2:] if self.writer else ())]:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _rules(size: Size) -> str:
    """Names the folder by what pixels depend on besides the content: size, decoder, libraries."""
    parts = [decode.VERSION, PIL.__version__, *(features.version(n) for n in ("jpg", "webp"))]
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=4).hexdigest()
    words = "-".join(map(str, size)) if isinstance(size, Frame) else size
    return f"decoded-{words}-{digest}"


def _segments(folder: str) -> list[str]:
    """Lists the names of segments that have both files."""
    if not os.path.isdir(folder):
        return []
    names = set(os.listdir(folder))
    found = [name.removesuffix(INDEX) for name in names if name.endswith(INDEX)]
    return [name for name in found if name + PIXELS in names]


def _checksum(row: np.void | np.ndarray, pixels: bytes | memoryview) -> int:
    return zlib.crc32(pixels, zlib.crc32(row.tobytes()[: -ROW["checksum"].itemsize]))


def _write(descriptor: int, content: memoryview) -> None:
    while content:  # a full disk takes a part
        content = content[os.write(descriptor, content) :]


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr)
