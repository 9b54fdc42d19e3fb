"""Finds near-duplicates: images that look alike, though their files differ.

An image is known by its perceptual hash: 64 bits, each of which says whether one of the lowest
frequencies of its grey levels is above their median. Scaling, another format and a change of
brightness leave most of them as they are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

BITS = 64
# In how many bits near-duplicates differ at most.
DISTANCE = 6
SIDE = 64  # of the square that is loaded to be hashed
FLAT = 4.0  # standard deviation of levels, below which an image has no frequencies to speak of
CHUNK = 1 << 20  # pairs that are compared at once


def hash_of(picture: np.ndarray) -> int | None:
    """Returns the hash of uint8 `[h, w, c]`; None for an image of nearly one level.

    Raises:
      ImportError: ImageHash is not installed.

    Source: ImageHash's `phash`, github.com/JohannesBuchner/imagehash.
    """
    import imagehash
    from PIL import Image

    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("L")
    if np.asarray(image).std() < FLAT:
        return None
    bits = imagehash.phash(image).hash.ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def pairs(hashes: np.ndarray, distance: int = DISTANCE) -> np.ndarray:
    """Finds the hashes that differ in few bits.

    Two hashes that differ in at most d bits agree in one of d + 1 bands of their bits, so that
    only those which share a band are compared. No pair is missed.

    Args:
      hashes: `[N]` uint64.
      distance: In how many bits they may differ.

    Returns:
      Indices `[P, 2]` int64, the lower one first, sorted. Of more than two that are equal, each
      is paired with the first of them only.
    """
    unique, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(hashes)))
    found = [np.stack([first[inverse[again]], again], 1)]
    for one, other in _sharing_a_band(unique, distance + 1):
        close = _bits(unique[one] ^ unique[other]) <= distance
        ends = np.stack([first[one[close]], first[other[close]]], 1)
        found.append(np.sort(ends, 1))
    return np.unique(np.concatenate(found), axis=0).astype(np.int64).reshape(-1, 2)


def distances(hashes: np.ndarray, found: np.ndarray) -> np.ndarray:
    """In how many bits the hashes of pairs differ, `[P]`."""
    return _bits(hashes[found[:, 0]] ^ hashes[found[:, 1]])


def _sharing_a_band(hashes: np.ndarray, bands: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields pairs that agree in a band, some at a time."""
    edges = np.linspace(0, BITS, bands + 1).astype(int).tolist()
    for low, high in itertools.pairwise(edges):
        band = (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        ordered = band[order]
        # Each is paired with those that come after it in its run of equal bands.
        ends = np.searchsorted(ordered, ordered, side="right")
        after = ends - np.arange(len(ordered)) - 1
        for start, stop in _chunks(after):
            counts = after[start:stop]
            one = np.repeat(np.arange(start, stop), counts)
            offsets = np.arange(len(one)) - np.repeat(np.cumsum(counts) - counts, counts)
            yield order[one], order[one + 1 + offsets]


def _chunks(counts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yields ranges of rows that have about `CHUNK` pairs together."""
    total = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = total[start - 1] if start else 0
        stop = max(int(np.searchsorted(total, done + CHUNK)), start + 1)
        yield start, stop
        start = stop


def _bits(values: np.ndarray) -> np.ndarray:
    """Counts the bits of each of `[N]` uint64."""
    octets = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
    return _COUNTS[octets].sum(1, dtype=np.int64)


_COUNTS = np.array([bin(octet).count("1") for octet in range(256)], np.uint8)
