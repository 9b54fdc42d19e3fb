"""The split into training and validation images: drawn once, saved, and found again by name."""

from __future__ import annotations

import array
import csv
import os
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.model_selection import train_test_split

from hw2.errors import DataError
from hw2.input import grouped
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import duplicates, spelling
from hw2.input.files.names import all_differ, first_few, shown
from hw2.runs import atomic

HEADER = [
    "name",
    "class",
    "part",
    "digest",
]  # digest: of the content, hexadecimal, where it is known
PARTS = ("train", "validation")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")


def draw(
    examples: Examples, fraction: float, seed: int, groups: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Splits examples as the source itself says, or else by drawing a fraction of every class.

    Images with the same content get into the same part, and so do those of a group. Where images
    have several classes, `grouped.draw` comes as near to the fraction of each as it can.

    Args:
      examples: The examples to split.
      fraction: Fraction of the images for validation, in (0, 1).
      seed: The same seed draws the same images.
      groups: The number of the group of each image, `[N]`, that of images with the same content
        being the same.

    Returns:
      Indices for training and for validation, each sorted int64.
    """
    if examples.validation is not None:
        return np.flatnonzero(~examples.validation), np.flatnonzero(examples.validation)
    if groups is not None:
        return grouped.draw(examples.labels, groups, fraction, seed)
    first = _first_of_each(examples)
    if examples.several:
        alone = np.arange(len(examples))
        return grouped.draw(examples.labels, alone if first is None else first, fraction, seed)
    if first is None:
        return stratified(examples.labels, fraction, seed)
    unique = np.flatnonzero(first == np.arange(len(first)))
    _, validation = stratified(examples.labels[unique], fraction, seed)
    validates = np.isin(first, unique[validation])
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def stratified(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws a fraction of every class for validation.

    Every class keeps at least one image for training. Validation gets at least as many images as
    there are classes of two or more.

    Args:
      labels: `[N]` integers.
      fraction: Fraction of the images for validation, in (0, 1).
      seed: The same seed draws the same images.

    Returns:
      Indices for training and for validation, each sorted int64.

    Raises:
      ValueError: `fraction` is outside (0, 1).
    """
    grouped.check_fraction(fraction)
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(counts[inverse] > 1)  # what scikit-learn can stratify
    classes = int((counts > 1).sum())
    if not classes:
        return np.arange(len(labels), dtype=np.int64), np.array([], np.int64)
    count = min(max(round(fraction * len(shared)), classes), len(shared) - classes)
    _, drawn = train_test_split(shared, test_size=count, stratify=labels[shared], random_state=seed)
    validates = np.zeros(len(labels), bool)
    validates[drawn] = True
    emptied = np.flatnonzero(np.bincount(inverse[drawn], minlength=len(counts)) == counts)
    validates[[drawn[inverse[drawn] == label][0] for label in emptied]] = False
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def notes(examples: Examples, train: np.ndarray, validation: np.ndarray) -> tuple[str, ...]:
    """Describes which classes are missing in a part, for the caller to print."""
    found = []
    for part, indices in zip(PARTS, (train, validation), strict=True):
        counts = labelling.counts(examples.labels[indices], len(examples.class_names))
        absent = np.flatnonzero(counts == 0).tolist()
        if absent:
            names = first_few([examples.class_names[label] for label in absent])
            found.append(f"no {part} picture of {names}")
    return tuple(found)


def write(
    path: str | os.PathLike[str], examples: Examples, train: np.ndarray, validation: np.ndarray
) -> None:
    """Writes `name,class,part,digest` lines; the file is written whole or not at all.

    Raises:
      OSError: The folder cannot be written.
    """
    part_of = np.full(len(examples), -1, np.int8)
    part_of[train], part_of[validation] = 0, 1
    texts = labelling.texts(examples.labels, examples.class_names)
    columns = zip(examples.names, texts, part_of.tolist(), _digests(examples), strict=True)
    with atomic.opened(path) as file:
        lines = csv.writer(file)
        lines.writerow(HEADER)
        lines.writerows(
            (name, text, PARTS[number], digest.hex())
            for name, text, number, digest in columns
            if number >= 0
        )


def read(path: str | os.PathLike[str], examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Reads the split that `write` saved, and finds its images in `examples`, in any order.

    Returns:
      Indices for training and for validation, each sorted int64.

    Raises:
      DataError: The file is damaged, or images were added, removed or changed since.
    """
    rows = _read(path, examples.names)
    at, gone = _find(rows, examples)
    if words := _changes(rows, examples, at, gone):
        raise DataError(
            f"old split in {shown(path)} - the data has changed, {words}; restore the data, resume "
            "with it as it is by --accept_new_data, or start a new training with another --log_path"
        )
    validates = rows.validation[at]
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def changes(path: str | os.PathLike[str], examples: Examples) -> str:
    """Describes how images were added, removed or changed since `write`; "" if none were.

    Raises:
      DataError: The file is damaged.
    """
    rows = _read(path, examples.names)
    return _changes(rows, examples, *_find(rows, examples))


def renewed(
    path: str | os.PathLike[str],
    examples: Examples,
    fraction: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Splits changed data: known images stay in their part, new ones are drawn.

    An image is known by its name, or by its content if it was renamed. A new image of a group
    with a known one follows it. Where the source itself says which images are for validation, it
    is followed instead.

    Returns:
      Indices for training and for validation, each sorted int64.

    Raises:
      DataError: The file is damaged.
    """
    rows = _read(path, examples.names)
    at, _ = _find(rows, examples)
    training, drawn = draw(examples, fraction, seed, groups)
    if examples.validation is not None:
        return training, drawn
    validation = np.isin(np.arange(len(examples)), drawn)
    for before, now in duplicates.pairs(rows.digests, _digests(examples)):
        at[now] = before if at[now] < 0 else at[now]
    validation[at >= 0] = rows.validation[at[at >= 0]]
    if groups is not None:
        part_of = dict(zip(groups[at >= 0].tolist(), validation[at >= 0].tolist(), strict=True))
        for new in np.flatnonzero(at < 0).tolist():
            validation[new] = part_of.get(int(groups[new]), validation[new])
    return np.flatnonzero(~validation), np.flatnonzero(validation)


def trained_on(path: str | os.PathLike[str], examples: Examples) -> list[tuple[str, str]]:
    """Lists pairs of names: a training image of the split, and an example with its content.

    Raises:
      DataError: The file is damaged.
    """
    rows = _read(path, examples.names)
    train = np.flatnonzero(~rows.validation)
    found = duplicates.pairs(rows.digests[train], _digests(examples))
    return [(shown(rows.names[train[a]]), shown(examples.names[b])) for a, b in found]


def trained_names(path: str | os.PathLike[str]) -> list[str]:
    """Lists the names of the training images of a split.

    Raises:
      DataError: The file is damaged.
    """
    rows = _read(path, ())
    return [rows.names[row] for row in np.flatnonzero(~rows.validation)]


class _Rows(NamedTuple):
    """The columns of a split file."""

    names: list[str]
    classes: np.ndarray  # [N], values of class_numbers
    class_numbers: dict[str, int]
    validation: np.ndarray  # [N] booleans
    digests: np.ndarray


def _first_of_each(examples: Examples) -> np.ndarray | None:
    """As `duplicates.first_of_each`, or None where no two images are known to be the same."""
    if examples.digests is None:
        return None
    first = duplicates.first_of_each(examples.digests)
    return None if np.array_equal(first, np.arange(len(first))) else first


def _digests(examples: Examples) -> np.ndarray:
    if examples.digests is None:
        return np.zeros(len(examples), duplicates.DIGEST)
    return examples.digests


def _find(rows: _Rows, examples: Examples) -> tuple[np.ndarray, list[int]]:
    """Finds the row of each example, -1 for none, and the rows without an example."""
    if len(rows.names) == len(examples) and all(map(str.__eq__, rows.names, examples.names)):
        return np.arange(len(examples)), []
    index = {name: row for row, name in enumerate(rows.names)}
    at = np.array([index.get(name, -1) for name in examples.names], np.int64)
    free = np.setdiff1d(np.arange(len(rows.names)), at).tolist()
    forms = {spelling.form(rows.names[row]): row for row in free}
    for row in np.flatnonzero(at < 0).tolist():  # files that another system spells otherwise
        at[row] = forms.pop(spelling.form(examples.names[row]), -1)
    return at, np.setdiff1d(np.arange(len(rows.names)), at).tolist()


def _numbered(examples: Examples, numbers: Mapping[str, int]) -> np.ndarray:
    """The number of the class, or of the several classes, of each example; -1 for others."""
    known = {spelling.form(name): number for name, number in numbers.items()}
    if examples.several:
        texts = labelling.texts(examples.labels, examples.class_names)
        return np.array([known.get(spelling.form(text), -1) for text in texts], np.int32)
    classes = [known.get(spelling.form(name), -1) for name in examples.class_names]
    return np.array(classes, np.int32)[examples.labels]


def _changes(rows: _Rows, examples: Examples, at: np.ndarray, gone: list[int]) -> str:
    """Describes how many images are missing, new or changed, with the first of them."""
    known, there = np.flatnonzero(at >= 0), at[at >= 0]
    # Slices copy nothing if nothing has changed.
    where: tuple[slice | np.ndarray, slice | np.ndarray] = slice(None), slice(None)
    if not np.array_equal(there, np.arange(len(rows.names))) or len(known) < len(examples):
        where = known, there
    classes = _numbered(examples, rows.class_numbers)
    other_class = known[classes[where[0]] != rows.classes[where[1]]]
    now, before = _digests(examples)[where[0]], rows.digests[where[1]]
    found = {
        "missing": [rows.names[i] for i in gone],
        "new": [examples.names[i] for i in np.flatnonzero(at < 0)],
        "of another class": [examples.names[i] for i in other_class],
        "of other content": [
            examples.names[i] for i in known[(before != now) & (before != b"") & (now != b"")]
        ],
    }
    counts = ", ".join(
        f"{len(names)} {change} ({first_few(names, 3)})" for change, names in found.items() if names
    )
    sizes = f"from {len(rows.names)} pictures to {len(examples)}"
    return f"{sizes}: {counts}" if counts else ""


def _read(path: str | os.PathLike[str], expected: Sequence[str]) -> _Rows:
    """Reads the rows; names equal to the expected ones in order share their memory."""
    names, classes = [], array.array("i")
    validation, digests = bytearray(), bytearray()
    equals = iter(expected)
    numbers: dict[str, int] = {}
    line = 1
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            lines = csv.reader(file, strict=True)
            if next(lines, None) != HEADER:
                raise _bad(path, line, f"expected the header {','.join(HEADER)}")
            for row in lines:
                line = lines.line_num
                if len(row) != len(HEADER) or row[2] not in PARTS or not _HEX.fullmatch(row[3]):
                    why = f"expected a name, a class, {' or '.join(PARTS)} and a digest"
                    raise _bad(path, line, why)
                name = next(equals, None)
                names.append(name if name == row[0] else row[0])
                classes.append(numbers.setdefault(row[1], len(numbers)))
                validation.append(row[2] == PARTS[1])
                digest = bytes.fromhex(row[3])[: duplicates.DIGEST.itemsize]
                digests += digest.ljust(duplicates.DIGEST.itemsize, b"\0")
    except (OSError, csv.Error) as error:
        raise _bad(path, line, shown(getattr(error, "strerror", None) or str(error))) from error
    if not all_differ(names):
        _, again = np.unique(np.array(names, object), return_index=True)
        twice = int(np.setdiff1d(np.arange(len(names)), again)[0])
        raise _bad(path, twice + 2, f"{shown(names[twice])} occurs twice")
    return _Rows(
        names,
        np.frombuffer(classes, np.int32),
        numbers,
        np.frombuffer(validation, np.bool_),
        np.frombuffer(digests, duplicates.DIGEST),
    )


def _bad(path: str | os.PathLike[str], line: int, why: str) -> DataError:
    return DataError(
        f"bad split in {shown(path)}:{line} - {why}; "
        "restore it, or start a new training with another --log_path"
    )
