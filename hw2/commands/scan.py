"""Lists the classes of a data set, and its damaged files.

    hw2 scan FOLDER
    hw2 scan FOLDER --json
    hw2 scan FOLDER --verify            # compares every file with what the last scan saw
    hw2 scan FOLDER --near_duplicates   # also tells pictures that look alike

PATH, or --train_data_path, is any data set that training reads. Exits with 3 where training would
refuse the data, or where a file has changed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from rich.table import Table

from hw2.commands import near_duplicates
from hw2.commands.command import Command, Own, check_data
from hw2.config.fields import setting
from hw2.config.settings import Config
from hw2.errors import DataError, UsageError
from hw2.input import labels as labelling
from hw2.input import source
from hw2.input.files import duplicates, formats, spelling
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules, among
from hw2.input.scanning import conflicts, imbalance, judgement, scan
from hw2.input.scanning.listing import Listing
from hw2.input.scanning.survey import Survey
from hw2.input.scanning.troubles import LISTED, Trouble, as_flags
from hw2.input.sources import builtin, folder, idx, layout, npy, shards, table
from hw2.terminal import console, progress_bar

CLASSES = 20  # rows of the table


def summary(seen: Survey) -> dict[str, Any]:
    """What a scan found, for `--json`: counts, sizes, and every file that is bad or there twice."""
    listing, records = seen.listing, seen.records
    good = np.flatnonzero(records["digest"] != b"")
    names, labels, digests = listing.names, listing.labels[good], records["digest"][good]
    counts = labelling.counts(labels, len(listing.class_names))
    kinds = np.bincount(records["format"][good], minlength=len(formats.NAMES))
    first = duplicates.first_of_each(digests)
    again = np.flatnonzero(
        (first != np.arange(len(first))) & labelling.equal(labels[first], labels)
    )
    _, twice = conflicts.conflicting(labels, digests)
    sides = np.minimum(records["width"], records["height"])[good]

    def named(pairs: Sequence[tuple[int, int]]) -> list[list[str]]:
        return [[shown(names[good[a]]), shown(names[good[b]])] for a, b in pairs]

    return {
        "source": shown(listing.source),
        "pictures": len(good),
        "classes": {shown(n): int(c) for n, c in zip(listing.class_names, counts, strict=True)},
        "unreadable": [
            {
                "name": shown(names[i]),
                "reason": judgement.reason(message, listing.place(i)),
                "message": message,
            }
            for i, message in seen.bad.items()
        ],
        "formats": {n: int(c) for n, c in zip(formats.NAMES, kinds, strict=True) if c},
        "short_side": [int(f(sides)) for f in (np.min, np.median, np.max)] if len(good) else [],
        "duplicates": named([(int(first[i]), int(i)) for i in again]),
        "conflicting_labels": named(twice),
        "notes": [
            *listing.notes,
            *scan.unusual(seen),
            *imbalance.notes(listing.class_names, counts, several=labelling.are_several(labels)),
        ],
        "from_manifest": seen.cached,
        "seconds": round(seen.seconds, 3),
    }


def _scan(config: Config, own: Own) -> int:
    """Scans, prints, and returns 3 where something is bad."""
    rules = dataclasses.replace(among(vars(config)), decode=not own.header_only)
    if own.no_cache:
        rules = dataclasses.replace(rules, cache_folder=None)
    if not _are_files(config.train_data_path):
        return _scan_whole(config.train_data_path, rules, own)
    listings, notes = _listings(config.train_data_path, rules)
    surveys = []
    for listing in listings:
        with _reporting("scanning", listing) as report:
            surveys.append(scan.survey(listing, rules, report=report))
    results = [summary(seen) for seen in surveys]
    if own.verify:
        for seen, result in zip(surveys, results, strict=True):
            with _reporting("verifying", seen.listing) as report:
                result["changed"] = list(scan.changed(seen, rules, report=report).values())
    leaks = [] if config.allow_leak else _leaks(surveys)
    alike = _near(surveys, results, rules) if own.near_duplicates else []
    troubles, flags = _troubles(surveys, rules)
    if leaks and flags is not None:
        flags.append("--allow_leak")
    if own.json:
        plain = {"parts": results, "leaks": leaks, "notes": notes, "flags": flags}
        plain |= {"near_leaks": alike} if own.near_duplicates else {}
        print(json.dumps(plain | {"troubles": [t.message for t in troubles]}, indent=2))
    else:
        for result in results:
            _show(result)
        if own.near_duplicates:
            near_duplicates.show(results, alike)
        _show_whole(config.train_data_path, leaks, notes, troubles, flags)
    bad = troubles or leaks or any(result.get("changed") for result in results)
    return DataError.exit_code if bad else 0


def _are_files(path: str) -> bool:
    """Whether a path lists image files; else it holds arrays, records, or is built in."""
    if os.path.isdir(path):
        arrays = idx.is_in(path) or npy.find(path, "train") or npy.find(path, "test")
        return not (arrays or shards.find(path, "train"))
    there = os.path.isfile(path) or path in builtin.NAMES or "," in path
    return path.endswith(".csv") or not there


def _scan_whole(path: str, rules: Rules, own: Own) -> int:
    """Reads a data set that is not made of files, and prints what is said about it."""
    for name in ("verify", "header_only"):
        if getattr(own, name):
            raise UsageError(f"--{name} is of image files, {shown(path)} has none; leave it out")
    with progress_bar.reporting(f"scanning {shown(path)}", console.stderr()) as report:
        examples = source.read(path, "train", rules, report=report)
    counts = labelling.counts(examples.labels, len(examples.class_names))
    notes = [
        *examples.notes,
        *imbalance.notes(examples.class_names, counts, several=examples.several),
    ]
    result = {
        "source": shown(path),
        "pictures": len(examples),
        "classes": dict(zip(map(shown, examples.class_names), counts.tolist(), strict=True)),
        "notes": notes,
    }
    if own.near_duplicates:
        with progress_bar.reporting(f"comparing {shown(path)}", console.stderr()) as report:
            result["near_duplicates"] = near_duplicates.within(
                near_duplicates.part_of(examples, report)
            )
    if own.json:
        print(json.dumps({"parts": [result]}, indent=2))
        return 0
    out = console.stdout()
    _show_classes(result)
    out.print(f"{len(examples):,} images in {len(counts)} classes")
    for note in notes:
        out.print(f"note: {note}")
    if own.near_duplicates:
        near_duplicates.show([result], [])
    return 0


def _troubles(surveys: Sequence[Survey], rules: Rules) -> tuple[list[Trouble], list[str] | None]:
    """What would stop a training, and the flags that go on without it; None if nothing does."""
    found: list[Trouble] = []
    possible = True
    first = surveys[0].listing.class_names
    for seen in surveys:
        given = None if seen is surveys[0] else first
        judged = judgement.judge(seen, scan.lenient(rules, given))
        found += judged.troubles
        unknown = spelling.unknown(seen.listing.class_names, first)
        if unknown:
            found.append(Trouble(*unknown.partition("; ")[::2]))
        if seen is surveys[0] and len(judged.classes) < 2:
            possible = False
    if not possible or not all(trouble.flags for trouble in found):
        return found, None
    return found, as_flags(trouble.flags for trouble in found)


def _reporting(doing: str, listing: Listing) -> AbstractContextManager[scan.Report]:
    """A bar on stderr while the files of a listing are read."""
    return progress_bar.reporting(f"{doing} {shown(listing.source)}", console.stderr())


def _near(
    surveys: Sequence[Survey], results: Sequence[dict[str, Any]], rules: Rules
) -> list[near_duplicates.Pair]:
    """Pairs of pictures of two parts that look alike; those within a part go to its result."""
    parts = []
    for seen in surveys:
        with _reporting("comparing", seen.listing) as report:
            parts.append(near_duplicates.part(seen, rules, report))
    for part, result in zip(parts, results, strict=True):
        result["near_duplicates"] = near_duplicates.within(part)
    return near_duplicates.across(parts)


def _leaks(surveys: Sequence[Survey]) -> list[list[str]]:
    """Pictures of the first part that are in another part too, as pairs of paths."""
    return [
        [shown(surveys[0].listing.path(a)), shown(other.listing.path(b))]
        for other in surveys[1:]
        for a, b in duplicates.pairs(surveys[0].records["digest"], other.records["digest"])
    ]


def _listings(path: str, rules: Rules) -> tuple[list[Listing], list[str]]:
    """What the path lists: one part, or every part that a folder holds, training first; notes."""
    if path.endswith(".csv"):
        return [table.listing(path, rules=rules)], []
    found = layout.read(path, allow_same_folders=rules.allow_same_folders)
    if not found.parts:
        return [folder.listing(path, rules)], []
    listings, notes = [folder.listing(found.parts["train"], rules)], list(found.notes)
    for part in ("validation", "test"):
        if part == "test" and part in found.parts and layout.is_flat(found.parts[part]):
            notes.append(f"{shown(found.parts[part])} has no class folders, and is not scored")
        elif part in found.parts:
            listings.append(folder.listing(found.parts[part], rules, listings[0].class_names))
    return listings, notes


def _show_whole(
    path: str,
    leaks: Sequence[Sequence[str]],
    notes: Sequence[str],
    troubles: Sequence[Trouble],
    flags: Sequence[str] | None,
) -> None:
    """Prints what is said about all parts together, and how a training would go on."""
    out = console.stdout()
    for note in notes:
        out.print(f"note: {note}")
    for pair in leaks[:LISTED]:
        print(f"leak: {pair[0]} = {pair[1]}")
    if len(leaks) > LISTED:
        print(f"and {len(leaks) - LISTED} more leaks")
    for trouble in troubles:
        out.print(f"stops a training: {trouble.line}; {trouble.remedy}")
    if flags:
        out.print(f"to go on without them: hw2 train {shlex.quote(path)} {' '.join(flags)}")


def _show_classes(result: dict[str, Any]) -> None:
    """Prints the source, and a table of its first classes."""
    out = console.stdout()
    classes = result["classes"]
    out.print(result["source"])
    rows = Table(box=None, pad_edge=False)
    rows.add_column("class", overflow="fold")
    rows.add_column("pictures", justify="right", no_wrap=True)
    for name, count in list(classes.items())[:CLASSES]:
        rows.add_row(name, f"{count:,}")
    if len(classes) > CLASSES:
        rest = list(classes.values())[CLASSES:]
        few = f"and {len(rest):,} more, of {min(rest):,} to {max(rest):,}; all by --json"
        rows.add_row(few, f"{sum(rest):,}")
    out.print(rows)


def _show(result: dict[str, Any]) -> None:
    """Prints a summary as people read it."""
    out = console.stdout()
    bad, classes = result["unreadable"], result["classes"]
    _show_classes(result)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in result["formats"].items())
    out.print(
        f"{result['pictures']:,} images in {len(classes)} classes, {len(bad)} unreadable"
        + (f" ({kinds})" if kinds else "")
    )
    if result["short_side"]:
        low, middle, high = result["short_side"]
        out.print(f"short sides {low} to {high} pixels, half below {middle}")
    for item in bad[:LISTED]:
        out.print(f"  {item['message']}")
    if len(bad) > LISTED:
        out.print(f"  and {len(bad) - LISTED} more; all by --json")
    for note in result["notes"]:
        out.print(f"note: {note}")
    if result["conflicting_labels"]:
        out.print(f"conflicting labels: {duplicates.equations(result['conflicting_labels'])}")
    for message in result.get("changed", ()):
        out.print(f"  {message}")
    if "changed" in result and not result["changed"]:
        out.print("every file is as the last scan saw it")
    out.print(f"{result['seconds']:.1f} s, {result['from_manifest']:,} known from the last scan")


COMMAND = Command(
    __doc__,
    _scan,
    words=("train_data_path",),
    flags={
        "json": setting(False, "print JSON, with every file"),
        "verify": setting(False, "read every file, and compare its content"),
        "header_only": setting(False, "read every file, but decode no pixel"),
        "near_duplicates": setting(False, "also tell pictures that look alike"),
        "no_cache": setting(False, "neither read nor keep the record of a scan"),
    },
    reads=(
        "train_data_path",
        "max_pixels",
        "min_size",
        "on_bad_file",
        "max_bad_fraction",
        "skip_conflicts",
        "skip_empty_class",
        "allow_empty_class",
        "allow_outside_links",
        "allow_same_folders",
        "allow_leak",
    ),
    check=check_data,
    tensorflow=False,
)
