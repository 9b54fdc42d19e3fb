"""What a scan has found, judged by the rules: what is left, what is told, and what stops."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hw2.input import labels as labelling
from hw2.input.files import duplicates
from hw2.input.files.names import first_few, shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import conflicts, troubles
from hw2.input.scanning.listing import Listing
from hw2.input.scanning.survey import Survey
from hw2.input.scanning.troubles import Trouble


class Judgement(NamedTuple):
    """What is left of a scan without all that is skipped or in trouble."""

    good: np.ndarray  # indices of the images
    classes: np.ndarray  # numbers of the classes
    skipped: tuple[tuple[str, str], ...]  # name and reason of each image that is left out
    notes: tuple[str, ...]
    troubles: tuple[Trouble, ...]


def judge(seen: Survey, rules: Rules) -> Judgement:
    """Judges a survey; of what is in trouble, the judgement holds what is left without it."""
    listing = seen.listing
    found: list[Trouble] = [*_bad(seen, rules), *_blocked(seen, rules)]
    good = np.arange(len(listing))
    if seen.bad:
        good = np.setdiff1d(good, list(seen.bad))
    skipped = [(listing.names[i], message) for i, message in seen.bad.items()]
    skipped += [(name, message) for name, message in listing.blocked.items()]
    notes = []
    if skipped and rules.on_bad_file == "skip":
        reasons = collections.Counter(
            [reason(message, listing.place(i)) for i, message in seen.bad.items()]
            + [reason(message) for message in listing.blocked.values()]
        )
        counts = ", ".join(f"{count} {why}" for why, count in reasons.most_common())
        notes.append(f"skipped {len(skipped)} bad of {len(listing)} ({counts})")
    good, twice, told, trouble = _conflicts(seen, rules, good)
    found += trouble
    skipped += twice
    classes, told_of_classes, trouble = _classes(seen, rules, good, bool(found))
    found += trouble
    notes += told + told_of_classes
    if found and not rules.allow_empty_class:
        emptied = len(classes) < len(listing.class_names) and not rules.skip_empty_class
        found = _with_way_out(found, emptied, len(classes) >= 2)
    return Judgement(good, classes, tuple(skipped), tuple(notes), tuple(found))


def reason(message: str, place: str = "") -> str:
    """Extracts the reason from a message about a bad image, without its details.

    Args:
      message: "bad picture in PLACE - REASON (DETAILS); REMEDY".
      place: What the message calls the image, which may itself contain " - ".
    """
    named, start = f"bad picture in {place} - ", " - "
    start = named if message.startswith(named) else start
    why = message.split(start, 1)[1].split("; ")[0]
    return re.sub(r" \(.*|, to /.*", "", why)


def _bad(seen: Survey, rules: Rules) -> list[Trouble]:
    """The trouble with images that cannot be used."""
    found = troubles.bad_pictures(
        seen.listing.source,
        {
            seen.listing.names[i]: reason(message, seen.listing.place(i))
            for i, message in seen.bad.items()
        },
        list(seen.bad.values()),
        len(seen.listing),
        skip=rules.on_bad_file == "skip",
        max_fraction=rules.max_bad_fraction,
    )
    return [found] if found else []


def _blocked(seen: Survey, rules: Rules) -> list[Trouble]:
    """The trouble with each folder that cannot be listed."""
    if rules.on_bad_file == "skip":
        return []
    flags: dict[str, str | float | bool] = {"on_bad_file": "skip"}
    split = (message.partition("; ")[::2] for message in seen.listing.blocked.values())
    return [Trouble(line, remedy, flags) for line, remedy in split]


def _conflicts(
    seen: Survey, rules: Rules, good: np.ndarray
) -> tuple[np.ndarray, list[tuple[str, str]], list[str], list[Trouble]]:
    """Returns what is left, name and reason of what is not, notes, and the trouble if there is."""
    listing = seen.listing
    involved, pairs = conflicts.conflicting(listing.labels[good], seen.records["digest"][good])
    if not pairs:
        return good, [], [], []
    names = [(shown(listing.names[good[a]]), shown(listing.names[good[b]])) for a, b in pairs]
    words = duplicates.equations(names)
    left = np.delete(good, involved)
    if rules.skip_conflicts:
        note = conflicts.skipped(len(involved), words)
        out = [
            (listing.names[i], f"bad picture in {listing.place(i)} - {conflicts.REASON}")
            for i in good[involved].tolist()
        ]
        return left, out, [note], []
    if len(involved) / len(good) <= rules.max_bad_fraction:
        return good, [], [f"conflicting labels of {len(involved)} pictures: {words}"], []
    line = conflicts.line(
        listing.source,
        len(involved),
        len(good),
        words,
        rules,
        several=labelling.are_several(listing.labels),
    )
    return left, [], [], [Trouble(line, conflicts.REMEDY, {"skip_conflicts": True})]


def _classes(
    seen: Survey, rules: Rules, good: np.ndarray, troubled: bool
) -> tuple[np.ndarray, list[str], list[Trouble]]:
    """Returns the classes that are left, notes, and the trouble with those that have no pictures.

    A class that loses its pictures to another trouble is part of that one.
    """
    listing = seen.listing
    names = listing.class_names
    counts = labelling.counts(listing.labels[good], len(names))
    left = np.flatnonzero(counts)
    if rules.allow_empty_class or counts.all():
        return np.arange(len(counts)), [], []
    if rules.skip_empty_class:
        empty = first_few([names[label] for label in np.flatnonzero(counts == 0)])
        return left, [f"classes without pictures are left out: {empty}"], []
    if troubled:
        counts = labelling.counts(listing.labels, len(names))
        tops = _tops(listing)
        counts += np.array([name in tops for name in names])
    absent = np.flatnonzero(counts == 0).tolist()
    if not absent:
        return left, [], []
    line = f"empty classes in {shown(listing.source)} - no picture in {_named(seen, absent)}"
    remedy = "fill or remove them, or --allow_empty_class keeps their numbers"
    return left, [], [Trouble(line, remedy, {"skip_empty_class": True})]


def _with_way_out(found: list[Trouble], emptied: bool, enough: bool) -> list[Trouble]:
    """Completes the flags that go on: without empty classes too, or none if too few are left."""
    if not enough:
        return [dataclasses.replace(trouble, flags={}) for trouble in found]
    if not emptied or any("skip_empty_class" in trouble.flags for trouble in found):
        return found
    last = dataclasses.replace(found[-1], flags={**found[-1].flags, "skip_empty_class": True})
    return [*found[:-1], last]


def _tops(listing: Listing) -> set[str]:
    """The class folders that cannot be listed, or in which a folder cannot."""
    return {folder.split("/", 1)[0] for folder in listing.blocked}


def _named(seen: Survey, empty: Sequence[int]) -> str:
    """Names the empty classes, each with what is there instead."""
    listing = seen.listing
    bad = labelling.counts(listing.labels[list(seen.bad)], len(listing.class_names))
    words = []
    for label in empty:
        beside = [f"{bad[label]} bad"] if bad[label] else []
        beside += [listing.left[label]] if listing.left.get(label) else []
        instead = f" ({'; '.join(beside)})" if beside else ""
        words.append(f"{shown(listing.class_names[label])}{instead}")
    return first_few(words)
