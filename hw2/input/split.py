"""Training and validation parts: drawn once, written down, and found again by name."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import train_test_split

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.paths import first_few, shown

HEADER = ["name", "class", "part"]
PARTS = ("train", "validation")


def stratified(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws a fraction of every class for validation.

    A class of one picture is for training; one of more keeps at least one there. Validation gets
    at least as many pictures as there are classes of two or more.

    Args:
      labels: `[N]` integers.
      fraction: Of the pictures to hold out, in (0, 1).
      seed: The same seed draws the same pictures.

    Returns:
      Indices for training and for validation, each sorted int64.

    Raises:
      ValueError: `fraction` is outside (0, 1).
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be in (0, 1), got {fraction}.")
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(counts[inverse] > 1)  # what scikit-learn can stratify
    classes = int((counts > 1).sum())
    if not classes:
        return np.arange(len(labels), dtype=np.int64), np.array([], np.int64)
    held_out = min(max(round(fraction * len(shared)), classes), len(shared) - classes)
    _, validation = train_test_split(
        shared, test_size=held_out, stratify=labels[shared], random_state=seed
    )
    everything = np.arange(len(labels), dtype=np.int64)
    emptied = np.setdiff1d(labels, labels[np.setdiff1d(everything, validation)])
    given_back = [validation[labels[validation] == label][0] for label in emptied]
    validation = np.setdiff1d(validation, given_back)
    return np.setdiff1d(everything, validation), validation


def notes(examples: Examples, train: np.ndarray, validation: np.ndarray) -> tuple[str, ...]:
    """Says which classes one of the parts lacks, for the caller to print."""
    found = []
    for part, indices in zip(PARTS, (train, validation), strict=True):
        absent = sorted(set(range(len(examples.class_names))) - set(examples.labels[indices]))
        if absent:
            names = first_few([examples.class_names[label] for label in absent])
            found.append(f"no {part} picture of {names}")
    return tuple(found)


def write(
    path: str | os.PathLike[str], examples: Examples, train: np.ndarray, validation: np.ndarray
) -> None:
    """Writes `name,class,part` lines; the file is there whole or not at all.

    Raises:
      OSError: The folder cannot be written.
    """
    partial = f"{os.fspath(path)}.partial"
    part_of = {index: PARTS[0] for index in train} | {index: PARTS[1] for index in validation}
    with open(partial, "w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        lines = csv.writer(file)
        lines.writerow(HEADER)
        for index, part in sorted(part_of.items()):
            class_name = examples.class_names[examples.labels[index]]
            lines.writerow([examples.names[index], class_name, part])
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def read(path: str | os.PathLike[str], examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Finds the parts of `examples` that `write` wrote down, whatever order they are in now.

    Returns:
      Indices for training and for validation, each sorted int64.

    Raises:
      DataError: The file is damaged, or pictures have come, gone or changed class since.
    """
    rows = _rows(path)
    here = {
        name: examples.class_names[label]
        for name, label in zip(examples.names, examples.labels, strict=True)
    }
    changes = {
        "missing": [name for name in rows if name not in here],
        "new": [name for name in here if name not in rows],
        "of another class": [n for n in rows if n in here and here[n] != rows[n][0]],
    }
    if any(changes.values()):
        counts = ", ".join(
            f"{len(names)} {change} ({first_few(names, 3)})"
            for change, names in changes.items()
            if names
        )
        raise DataError(
            f"old split in {shown(path)} - the data has changed: {counts}; "
            "restore the data, or train anew in another --log_path"
        )
    parts = np.array([rows[name][1] for name in examples.names])
    train, validation = (np.flatnonzero(parts == part).astype(np.int64) for part in PARTS)
    return train, validation


def _rows(path: str | os.PathLike[str]) -> dict[str, Sequence[str]]:
    """Class and part by name."""
    rows: dict[str, Sequence[str]] = {}
    line = 1
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            lines = csv.reader(file, strict=True)
            if next(lines, None) != HEADER:
                raise _bad(path, line, f"expected the header {','.join(HEADER)}")
            for row in lines:
                line = lines.line_num
                if len(row) != 3 or row[2] not in PARTS:
                    raise _bad(path, line, f"expected a name, a class and {' or '.join(PARTS)}")
                if row[0] in rows:
                    raise _bad(path, line, f"{shown(row[0])} is there twice")
                rows[row[0]] = row[1:]
    except (OSError, csv.Error) as error:
        raise _bad(path, line, shown(getattr(error, "strerror", None) or str(error))) from error
    return rows


def _bad(path: str | os.PathLike[str], line: int, why: str) -> DataError:
    return DataError(
        f"bad split in {shown(path)}:{line} - {why}; "
        "restore it, or train anew in another --log_path"
    )
