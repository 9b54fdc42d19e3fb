"""Class folders: every folder below the root is a class, every picture anywhere in it is one's."""

from __future__ import annotations

import collections
import functools
import itertools
import os
import unicodedata
from collections.abc import Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input import decode, formats
from hw2.input.examples import Examples
from hw2.input.paths import first_few, shown

LAYOUT = "the layout is ROOT/CLASS/.../PICTURE.jpg, with two classes at least"
JUNK = ("__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini")  # left behind by other systems
PARTS = {"train", "training", "test", "testing", "val", "valid", "validation"}
LISTED = 20  # bad files named in one error
PICTURES = {*itertools.chain(*formats.SUFFIXES.values()), *formats.OTHER_SUFFIXES}


def read(root: str | os.PathLike[str], *, max_pixels: int = decode.MAX_PIXELS) -> Examples:
    """Finds the pictures below `root`, and opens the header of each.

    Classes are the first-level folders in the order of their names. Hidden files and what other
    systems leave behind are skipped; files of other kinds are counted in the notes. Links are
    followed, and no folder is read twice.

    Raises:
      DataError: No two classes; a class without pictures; two class names that look the same;
        pictures that cannot be read, of which the message lists the first 20 with the reason.

    Cost: about 0.1 ms for each picture, and no pixel is decoded.
    """
    root = os.fspath(root)
    class_names = _classes(root)
    ignored = collections.Counter(_beside(root))
    files = sorted(_files(root, class_names, ignored))
    _check_none_empty(root, class_names, [label for label, _ in files])
    notes = _twins(root, class_names) + _ignored(ignored)
    notes += _check_pictures(root, [name for _, name in files], max_pixels)
    names = tuple(name for _, name in files)
    return Examples(
        names,
        np.array([label for label, _ in files], np.int32),
        tuple(class_names),
        channels=3,
        load=functools.partial(_load, root, names, max_pixels),
        notes=tuple(notes),
    )


def _load(
    root: str, names: Sequence[str], max_pixels: int, index: int, short_side: int
) -> np.ndarray:
    return decode.picture(os.path.join(root, names[index]), short_side, max_pixels=max_pixels)


def _classes(root: str) -> list[str]:
    if not os.path.isdir(root):
        why = "not a folder" if os.path.exists(root) else "no such folder"
        raise DataError(f"no pictures in {shown(root)} - {why}; {LAYOUT}")
    names = sorted(
        entry.name
        for entry in _scan(root)
        if not _is_junk(entry.name) and os.path.isdir(entry.path)
    )
    if len(names) < 2:
        found = f"one class folder only, {shown(names[0])}" if names else "no class folders"
        raise DataError(f"no classes in {shown(root)} - {found}; {LAYOUT}")
    if all(name.casefold() in PARTS for name in names):
        raise DataError(
            f"no classes in {shown(root)} - {first_few(names)} are parts of a data set; give "
            "the folder of one part"
        )
    return names


def _beside(root: str) -> dict[str, int]:
    """Counts the pictures that no class folder holds."""
    count = sum(_is_picture(e.name) and not os.path.isdir(e.path) for e in _scan(root))
    return {"outside the class folders": count} if count else {}


def _files(
    root: str, class_names: Sequence[str], ignored: collections.Counter[str]
) -> list[tuple[int, str]]:
    """Label and name of every picture, reading real folders before those behind links."""
    files = []
    seen = set()
    real = collections.deque(enumerate(class_names))
    links: collections.deque[tuple[int, str]] = collections.deque()
    while real or links:
        label, folder = (real or links).popleft()
        status = os.stat(os.path.join(root, folder))
        if (status.st_dev, status.st_ino) in seen:
            ignored["links to folders read already"] += 1
            continue
        seen.add((status.st_dev, status.st_ino))
        for entry in _scan(os.path.join(root, folder)):
            name = f"{folder}/{entry.name}"
            if _is_junk(entry.name):
                continue
            if os.path.isdir(entry.path) and _is_picture(name):
                ignored["folders named like pictures"] += 1
            elif os.path.isdir(entry.path):
                (links if entry.is_symlink() else real).append((label, name))
            elif _is_picture(name):
                files.append((label, name))
            else:
                ignored[_suffix(name) or "without suffix"] += 1
    return files


def _scan(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise DataError(f"no pictures in {shown(folder)} - {why}; make it readable") from error


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _is_picture(name: str) -> bool:
    return _suffix(name) in PICTURES and not _is_junk(os.path.basename(name))


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name in JUNK


def _check_none_empty(root: str, class_names: Sequence[str], labels: Sequence[int]) -> None:
    present = set(labels)
    empty = [name for label, name in enumerate(class_names) if label not in present]
    if empty:
        raise DataError(
            f"empty classes in {shown(root)} - no picture in {first_few(empty)}; fill or remove "
            f"them ({LAYOUT})"
        )


def _twins(root: str, class_names: Sequence[str]) -> list[str]:
    """Refuses names that are the same in Unicode's eyes, notes those that differ in case only."""
    notes = []
    by_form: dict[str, str] = {}
    by_case: dict[str, str] = {}
    for name in class_names:
        form = unicodedata.normalize("NFC", name)
        if form in by_form:
            raise DataError(
                f"twin classes in {shown(root)} - two folders are called {shown(name)}, one "
                "spelt with combining characters (NFC and NFD); merge them"
            )
        by_form[form] = name
        twin = by_case.setdefault(form.casefold(), name)
        if twin != name:
            notes.append(f"classes {shown(twin)} and {shown(name)} differ in case only")
    return notes


def _check_pictures(root: str, names: Sequence[str], max_pixels: int) -> list[str]:
    """Opens every header; notes what is odd."""
    bad, animated, misnamed = [], [], []
    for name in names:
        try:
            header = decode.header(os.path.join(root, name), max_pixels=max_pixels)
        except DataError as error:
            bad.append(str(error))
            continue
        if header.animated:
            animated.append(name)
        if _suffix(name) not in formats.SUFFIXES[header.format]:
            misnamed.append(name)
    if bad:
        more = [f"and {len(bad) - LISTED} more"] if len(bad) > LISTED else []
        raise DataError(
            f"bad pictures in {shown(root)} - {len(bad)} of {len(names)} cannot be used; replace "
            "or remove them:\n  " + "\n  ".join(bad[:LISTED] + more)
        )
    notes = []
    if animated:
        notes.append(f"only the first frame is used of {first_few(animated)}")
    if misnamed:
        notes.append(f"content and suffix disagree in {first_few(misnamed)}")
    return notes


def _ignored(counts: collections.Counter[str]) -> list[str]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{count} {shown(kind)}" for kind, count in ordered)
    return [f"ignored {kinds}"] if kinds else []
