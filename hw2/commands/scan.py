"""Lists the classes of a data set, and its damaged files.

    hw2 scan FOLDER
    hw2 scan FOLDER --json
    hw2 scan FOLDER --verify        # compares every file with what the last scan saw

PATH, or --train_data_path, is a folder of class folders, a folder with train/ in it, or a .csv
list. Exits with 3 where training would refuse the data, or where a file has changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from rich.table import Table

from hw2.commands.command import Command, Own, check_data
from hw2.config.settings import Config, setting
from hw2.errors import DataError
from hw2.input.files import duplicates, formats
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules, default_cache_folder
from hw2.input.scanning import scan
from hw2.input.scanning.listing import Listing
from hw2.input.scanning.scan import LISTED, Survey
from hw2.input.sources import folder, table
from hw2.terminal import console, progress_bar


def summary(seen: Survey) -> dict[str, Any]:
    """What a scan found, for `--json`: counts, sizes, and every file that is bad or there twice."""
    listing, records = seen.listing, seen.records
    good = np.flatnonzero(records["digest"] != b"")
    names, labels, digests = listing.names, listing.labels[good], records["digest"][good]
    counts = np.bincount(labels, minlength=len(listing.class_names))
    kinds = np.bincount(records["format"][good], minlength=len(formats.NAMES))
    first = duplicates.first_of_each(digests)
    again = np.flatnonzero((first != np.arange(len(first))) & (labels[first] == labels))
    _, conflicts = scan.conflicting(labels, digests)
    sides = np.minimum(records["width"], records["height"])[good]

    def named(pairs: Sequence[tuple[int, int]]) -> list[list[str]]:
        return [[shown(names[good[a]]), shown(names[good[b]])] for a, b in pairs]

    return {
        "source": shown(listing.source),
        "pictures": len(good),
        "classes": {shown(n): int(c) for n, c in zip(listing.class_names, counts, strict=True)},
        "unreadable": [
            {"name": shown(names[i]), "reason": scan.reason(message), "message": message}
            for i, message in seen.bad.items()
        ],
        "formats": {n: int(c) for n, c in zip(formats.NAMES, kinds, strict=True) if c},
        "short_side": [int(f(sides)) for f in (np.min, np.median, np.max)] if len(good) else [],
        "duplicates": named([(int(first[i]), int(i)) for i in again]),
        "conflicting_labels": named(conflicts),
        "notes": [*listing.notes, *scan.unusual(seen)],
        "from_manifest": seen.cached,
        "seconds": round(seen.seconds, 3),
    }


def _scan(config: Config, own: Own) -> int:
    """Scans, prints, and returns 3 where something is bad."""
    rules = Rules(
        max_pixels=config.max_pixels,
        min_size=config.min_size,
        allow_empty_class=True,  # the table shows it
        allow_outside_links=config.allow_outside_links,
        decode=not own.header_only,
        cache_folder=None if own.no_cache else default_cache_folder(),
    )
    surveys = []
    for listing in list(_listings(config.train_data_path, rules)):
        with _reporting("scanning", listing) as report:
            surveys.append(scan.survey(listing, rules, report=report))
    results = [summary(seen) for seen in surveys]
    if own.verify:
        for seen, result in zip(surveys, results, strict=True):
            with _reporting("verifying", seen.listing) as report:
                result["changed"] = list(scan.changed(seen, rules, report=report).values())
    leaks = _leaks(surveys)
    if own.json:
        print(json.dumps({"parts": results, "leaks": leaks}, indent=2))
    else:
        for result in results:
            _show(result)
        for pair in leaks[:LISTED]:
            print(f"leak: {pair[0]} = {pair[1]}")
        if len(leaks) > LISTED:
            print(f"and {len(leaks) - LISTED} more leaks")
    bad = any(
        result["unreadable"]
        or result.get("changed")
        or len(result["conflicting_labels"]) > rules.max_bad_fraction * result["pictures"]
        for result in results
    )
    return DataError.exit_code if bad or leaks else 0


def _reporting(doing: str, listing: Listing) -> AbstractContextManager[scan.Report]:
    """A bar on stderr while the files of a listing are read."""
    return progress_bar.reporting(f"{doing} {shown(listing.source)}", console.stderr())


def _leaks(surveys: Sequence[Survey]) -> list[list[str]]:
    """Pictures of the first part that are in another part too, as pairs of paths."""
    return [
        [shown(surveys[0].listing.path(a)), shown(other.listing.path(b))]
        for other in surveys[1:]
        for a, b in duplicates.pairs(surveys[0].records["digest"], other.records["digest"])
    ]


def _listings(data: str, rules: Rules) -> Iterator[Listing]:
    """What the path lists: one part, or every part that a folder holds, training first."""
    if data.endswith(".csv"):
        yield table.listing(data, rules=rules)
    elif os.path.isdir(data) and (parts := folder.parts(data)):
        for part in ("train", "validation", "test"):
            if part in parts:
                yield folder.listing(parts[part], rules)
    else:
        yield folder.listing(data, rules)


def _show(result: dict[str, Any]) -> None:
    """Prints a summary as people read it."""
    out = console.stdout()
    bad, classes = result["unreadable"], result["classes"]
    out.print(result["source"])
    rows = Table(box=None, pad_edge=False)
    rows.add_column("class", overflow="fold")
    rows.add_column("pictures", justify="right", no_wrap=True)
    for name, count in classes.items():
        rows.add_row(name, f"{count:,}")
    out.print(rows)
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
        out.print(f"  and {len(bad) - LISTED} more")
    for note in result["notes"]:
        out.print(f"note: {note}")
    if result["conflicting_labels"]:
        out.print(
            f"conflicting labels: {duplicates.equations(result['conflicting_labels'], LISTED)}"
        )
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
        "no_cache": setting(False, "neither read nor keep the record of a scan"),
    },
    reads=("train_data_path", "max_pixels", "min_size", "allow_outside_links"),
    check=check_data,
    tensorflow=False,
)
