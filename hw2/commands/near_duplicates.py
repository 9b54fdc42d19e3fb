"""Pictures that look alike, for `hw2 scan --near_duplicates`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import decode, duplicates, perceptual
from hw2.input.files.frame import Size
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import hashes
from hw2.input.scanning.survey import Report, Survey
from hw2.input.scanning.troubles import LISTED
from hw2.terminal import console

Pair = list[Any]  # two names or paths, the number of bits that differ, whether the classes do


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The good pictures of a part of the data, and their hashes.

    Attributes:
      names: As messages show them, `[N]`.
      places: The same with the folder of the part.
      classes: The names of their classes, `[N]`.
      digests: The hashes of their contents, `[N]`, empty where unknown.
      hashes: The perceptual hashes, `[N]` uint64.
      there: Whether a picture has one, `[N]`.
    """

    names: Sequence[str]
    places: Sequence[str]
    classes: np.ndarray
    digests: np.ndarray
    hashes: np.ndarray
    there: np.ndarray


def part(seen: Survey, rules: Rules, report: Report) -> Part:
    """Hashes the pictures of a scan.

    Raises:
      UsageError: ImageHash is not installed.
    """
    listing = seen.listing
    good = np.flatnonzero(seen.records["digest"] != b"").tolist()
    limit = rules.max_pixels

    def load(index: int, size: Size) -> np.ndarray:
        at = good[index]
        if listing.read is not None:
            return decode.picture_in(listing.read(at), listing.place(at), size, max_pixels=limit)
        return decode.picture(listing.path(at), size, max_pixels=limit)

    digests = seen.records["digest"][good]
    found = hashes.of(load, digests, cache_folder=rules.cache_folder, report=report)
    return Part(
        [shown(listing.names[at]) for at in good],
        [shown(listing.path(at)) for at in good],
        np.array(labelling.texts(listing.labels[good], listing.class_names), object),
        digests,
        *found,
    )


def part_of(examples: Examples, report: Report) -> Part:
    """Hashes pictures that are no files.

    Raises:
      UsageError: ImageHash is not installed.
    """
    names = [shown(name) for name in examples.names]
    unknown = np.zeros(len(names), duplicates.DIGEST)
    digests = unknown if examples.digests is None else examples.digests
    found = hashes.of(examples.load, unknown, report=report)
    classes = np.array(labelling.texts(examples.labels, examples.class_names), object)
    return Part(names, names, classes, digests, *found)


def within(one: Part) -> list[Pair]:
    """Lists pairs of names within a part, the most alike first; equal files are not among them."""
    found = hashes.pairs(one.hashes, one.there)
    found = found[_differ(one.digests[found[:, 0]], one.digests[found[:, 1]])]
    apart = one.classes[found[:, 0]] != one.classes[found[:, 1]]
    bits = perceptual.distances(one.hashes, found)
    rows = zip(found.tolist(), bits.tolist(), apart.tolist(), strict=True)
    listed = [[one.names[a], one.names[b], n, differ] for (a, b), n, differ in rows]
    return sorted(listed, key=lambda pair: pair[2])


def across(parts: Sequence[Part]) -> list[Pair]:
    """Lists pairs of paths of two different parts, as `within` does."""
    listed: list[Pair] = []
    for number, one in enumerate(parts):
        for other in parts[number + 1 :]:
            listed += _between(one, other)
    return sorted(listed, key=lambda pair: pair[2])


def _between(one: Part, other: Part) -> list[Pair]:
    """Pairs a picture of each of two parts; of several equal hashes the first of a part stands."""
    first, second = _first_of_each_hash(one), _first_of_each_hash(other)
    every = np.union1d(one.hashes[first], other.hashes[second])
    ends = np.concatenate(
        [perceptual.pairs(every), np.repeat(np.arange(len(every)), 2).reshape(-1, 2)]
    )
    ends = np.concatenate([ends, ends[ends[:, 0] != ends[:, 1]][:, ::-1]])
    a = _at(one.hashes[first], every[ends[:, 0]])
    b = _at(other.hashes[second], every[ends[:, 1]])
    there = (a >= 0) & (b >= 0)
    bits = perceptual.distances(every, ends)[there]
    a, b = first[a[there]], second[b[there]]
    different = _differ(one.digests[a], other.digests[b])
    a, b, bits = a[different], b[different], bits[different]
    apart = one.classes[a] != other.classes[b]
    rows = zip(a.tolist(), b.tolist(), bits.tolist(), apart.tolist(), strict=True)
    return [[one.places[i], other.places[j], n, differ] for i, j, n, differ in rows]


def _differ(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Whether contents differ, or are not known."""
    return (some != others) | (some == b"")


def _first_of_each_hash(one: Part) -> np.ndarray:
    """The first picture with each hash, in the order of the hashes."""
    kept = np.flatnonzero(one.there)
    return kept[np.unique(one.hashes[kept], return_index=True)[1]]


def _at(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of `wanted` is in sorted hashes, -1 where it is not."""
    if not len(ordered):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return np.where(ordered[place] == wanted, place, -1)


def show(results: Sequence[dict[str, Any]], between: Sequence[Pair]) -> None:
    """Prints the pairs as people read them."""
    out = console.stdout()
    for result in results:
        pairs = result["near_duplicates"]
        apart = sum(pair[3] for pair in pairs)
        out.print(f"{len(pairs):,} near-duplicates in {result['source']}, {apart:,} across classes")
        _list(pairs)
    if len(results) > 1:
        out.print(f"{len(between):,} near-duplicates across parts")
        _list(between)
    if between or any(result["near_duplicates"] for result in results):
        out.print("to keep them on one side of the split: --group_by=near_duplicates")


def _list(pairs: Sequence[Pair]) -> None:
    for one, other, bits, apart in pairs[:LISTED]:
        classes = ", of two classes" if apart else ""
        print(f"  {one} ~ {other} ({bits} of {perceptual.BITS} bits differ{classes})")
    if len(pairs) > LISTED:
        print(f"  and {len(pairs) - LISTED:,} more; all by --json")
