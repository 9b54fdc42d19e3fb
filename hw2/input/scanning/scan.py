"""Scans every image file before training starts: finds bad files, duplicates and conflicts."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from hw2 import cores
from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import decode, duplicates, flat, formats
from hw2.input.files.decode import Stamp
from hw2.input.files.frame import Size
from hw2.input.files.names import first_few, shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import judgement, manifest
from hw2.input.scanning.listing import Listing
from hw2.input.scanning.survey import Report, Survey
from hw2.input.scanning.troubles import Troubles

BLOCK = 512  # files between two calls of `report`


def survey(
    listing: Listing, rules: Rules, *, report: Report | None = None, use_manifest: bool = True
) -> Survey:
    """Opens every file that is new or has changed since the last scan, on all cores.

    Args:
      listing: The files.
      rules: What is accepted.
      report: Called from time to time with the number of files done, and of all.
      use_manifest: Whether to trust the manifest of an earlier scan.

    Cost: 5 microseconds for a file seen before; else reading and decoding it.
    """
    started = time.perf_counter()
    settings = {name: getattr(rules, name) for name in ("max_pixels", "min_size", "decode")}
    before = None
    if use_manifest:
        before = manifest.load(rules.cache_folder, listing.source, settings, listing.names)
    records, cached = _recalled(listing, before)
    unknown = records["digest"] == b""
    unknown[list(listing.refused)] = False
    todo = np.flatnonzero(unknown)
    bad = {i: f"bad picture in {listing.place(i)} - {why}" for i, why in listing.refused.items()}
    look = functools.partial(_look, listing, rules, records)
    try:
        with concurrent.futures.ThreadPoolExecutor(cores.usable()) as pool:
            for start in range(0, len(todo), BLOCK):
                block = todo[start : start + BLOCK].tolist()
                for index, message in zip(block, pool.map(look, block), strict=True):
                    if message:
                        bad[index] = message
                if report:
                    report(cached + start + len(block), len(listing))
    finally:  # after Ctrl-C too: what was scanned need not be scanned again
        good = np.flatnonzero(records["digest"] != b"")
        if len(todo) or (before and len(before[0]) != len(good)):
            names, found = listing.names, records
            if len(good) < len(names):
                names, found = [names[i] for i in good.tolist()], records[good]
            manifest.save(rules.cache_folder, listing.source, settings, names, found)
    seconds = time.perf_counter() - started
    return Survey(listing, records, dict(sorted(bad.items())), cached, seconds)


def examples(listing: Listing, rules: Rules, *, report: Report | None = None) -> Examples:
    """Scans a listing, and makes examples of the files that can be used.

    Raises:
      Troubles: More files cannot be used than `rules` accepts, more images than that are in
        several classes, a folder cannot be listed, or a class has no images. All of it is in one
        message.
      DataError: What is left is no data set.
    """
    return made(survey(listing, rules, report=report), rules)


def made(seen: Survey, rules: Rules) -> Examples:
    """Makes examples of the files of a survey that can be used; raises as `examples`."""
    found = judgement.judge(seen, rules)
    listing, good, records = seen.listing, found.good, seen.records
    names, labels = tuple(listing.names), listing.labels
    if len(good) < len(listing):
        names, labels, records = tuple(names[i] for i in good), labels[good], records[good]
    numbers = np.full(len(listing.class_names), -1, np.int32)
    numbers[found.classes] = np.arange(len(found.classes))
    class_names = tuple(listing.class_names[label] for label in found.classes)
    notes = listing.notes + unusual(seen) + found.notes
    left = None
    if len(found.classes) >= 2 or rules.allow_empty_class:
        load, content_of = _readers(listing, rules, good, records)
        left = Examples(
            names,
            labelling.renumbered(labels, numbers, len(found.classes)),
            class_names,
            channels=3,
            load=load,
            notes=notes,
            digests=records["digest"],
            content=content_of,
            skipped=found.skipped,
            from_content=True,
        )
    if found.troubles:
        raise Troubles(listing.source, found.troubles, notes, left)
    if left is None:
        raise DataError(
            f"no classes left in {shown(listing.source)} - pictures in "
            f"{first_few(list(class_names)) or 'none'} only, without what is left out; two classes "
            "are needed at least"
        )
    return left


def unusual(seen: Survey) -> tuple[str, ...]:
    """Describes usable images that are unusual: animated, misnamed, or duplicates in a class."""
    names, labels, records = seen.listing.names, seen.listing.labels, seen.records
    good = records["digest"] != b""
    notes = []
    for words, mask in (
        ("only the first frame is used of {} animated: {}", records["animated"]),
        ("content and suffix disagree in {}: {}", _misnamed(names, records)),
        ("bytes follow the picture in {}: {}", records["trailing"]),
    ):
        found = np.flatnonzero(mask & good)
        if len(found):
            notes.append(
                words.format(f"{len(found):,}", first_few([names[i] for i in found.tolist()]))
            )
    flat_ones = [names[i] for i in np.flatnonzero(records["flat"] & good).tolist()]
    notes += flat.note(flat_ones, int(good.sum()))
    first = duplicates.first_of_each(records["digest"])
    again = np.flatnonzero(
        (first != np.arange(len(first))) & labelling.equal(labels[first], labels)
    )
    if len(again):
        pairs = [(shown(names[first[i]]), shown(names[i])) for i in again.tolist()]
        twins = duplicates.equations(pairs)
        notes.append(f"{len(again):,} repeated within their class: {twins}")
    return tuple(notes)


def changed(seen: Survey, rules: Rules, *, report: Report | None = None) -> dict[int, str]:
    """Reads every file again, even if size and time are unchanged, and compares the content.

    Returns:
      The message about each file whose content differs from the manifest, by its index.
    """
    anew = survey(
        seen.listing,
        dataclasses.replace(rules, cache_folder=None),
        report=report,
        use_manifest=False,
    )
    differ = (seen.records["digest"] != anew.records["digest"]) & (seen.records["digest"] != b"")
    return {
        i: f"bad picture in {seen.listing.place(i)} - content changed since scan; restore it"
        for i in np.flatnonzero(differ).tolist()
    }


def lenient(rules: Rules, class_names: Sequence[str] | None) -> Rules:
    """Returns rules that accept empty classes where the classes are given rather than found."""
    return rules if class_names is None else dataclasses.replace(rules, allow_empty_class=True)


def _stamps(listing: Listing) -> np.ndarray:
    """Returns size and time of modification of every file, `[N, 2]` int64."""
    if listing.records is not None:
        return listing.records
    prefix = os.path.join(listing.root, "")
    found = np.zeros([len(listing), 2], np.int64)
    for index, name in enumerate(listing.names):
        try:
            status = os.stat(prefix + name)
        except (OSError, ValueError):
            continue  # opening it will give the reason
        found[index] = decode.stamp_of(status)
    return found


def _recalled(
    listing: Listing, before: tuple[Sequence[str], np.ndarray] | None
) -> tuple[np.ndarray, int]:
    """Returns records of all files, and how many are filled from an earlier scan.

    Args:
      listing: The files.
      before: Names and records of that scan; the records may be changed in place.
    """
    stamps = _stamps(listing)
    records = np.zeros(len(listing), manifest.RECORD)
    if before:
        names, old = before
        if names is listing.names:
            records = old
        else:
            index = {name: i for i, name in enumerate(names)}
            there = np.array([index.get(name, -1) for name in listing.names], np.int64)
            records[there >= 0] = old[there[there >= 0]]
    same = (records["size"] == stamps[:, 0]) & (records["mtime_ns"] == stamps[:, 1])
    same &= records["digest"] != b""
    same[list(listing.refused)] = False
    records[~same] = np.zeros((), manifest.RECORD)
    records["size"], records["mtime_ns"] = stamps.T
    return records, int(same.sum())


def _look(listing: Listing, rules: Rules, records: np.ndarray, index: int) -> str | None:
    """Opens a file and fills in its record, or returns the message about it."""
    options = {name: getattr(rules, name) for name in ("max_pixels", "min_size", "decode")}
    try:
        if listing.read is None:
            found = decode.inspect(listing.path(index), **options)
        else:
            found = decode.inspect_in(listing.read(index), listing.place(index), **options)
    except DataError as error:
        if listing.lines is None:
            return str(error)
        return str(error).replace(shown(listing.path(index)), listing.place(index), 1)
    for name in ("width", "height", "animated", "trailing", "flat", "digest"):
        records[name][index] = getattr(found, name)
    records["format"][index] = formats.NAMES.index(found.format)
    return None


def _misnamed(names: Sequence[str], records: np.ndarray) -> np.ndarray:
    """Returns for each name whether its suffix belongs to another format, `[N]` booleans."""
    usual = [formats.SUFFIXES[name] for name in formats.NAMES]
    kinds = records["format"].tolist()
    return np.array(
        [not name.lower().endswith(usual[kind]) for name, kind in zip(names, kinds, strict=True)],
        bool,
    )


def _readers(
    listing: Listing, rules: Rules, good: np.ndarray, records: np.ndarray
) -> tuple[Callable[[int, Size], np.ndarray], Callable[[int], bytes]]:
    """Makes the functions that load a usable image, and that read its bytes."""
    limits = {"max_pixels": rules.max_pixels, "min_size": rules.min_size}

    def load(index: int, size: Size) -> np.ndarray:
        stamp = Stamp(int(records["size"][index]), int(records["mtime_ns"][index]))
        return decode.picture(listing.path(good[index]), size, stamp=stamp, **limits)

    read = listing.read
    if read is None:
        return load, lambda index: decode.content_of(listing.path(good[index]))

    def load_record(index: int, size: Size) -> np.ndarray:
        place, digest = listing.place(good[index]), bytes(records["digest"][index])
        content = read(good[index])
        return decode.picture_in(content, place, size, digest=digest, **limits)

    return load_record, lambda index: read(good[index])
