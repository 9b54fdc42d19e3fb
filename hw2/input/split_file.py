"""A split that the user gives as a file, in the format of a run's own split.csv or a part of it."""

from __future__ import annotations

import os

import numpy as np

from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import spelling
from hw2.input.files.names import first_few, shown
from hw2.input.sources.rows import bad, rows_of
from hw2.input.split import PARTS

FORM = "a split has the header `name,part`, or that of a run's split.csv"


def read(path: str | os.PathLike[str], examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Reads which images are for training and which for validation.

    Args:
      path: A CSV file with the columns `name` and `part`, train or validation. If it also has
        `class` or `digest`, they must be those of the data.
      examples: The data, of which the file must name every image.

    Returns:
      Indices for training and for validation, each sorted int64.

    Raises:
      DataError: A line is wrong, an image is not named, or a part is empty.
    """
    path = os.fspath(path)
    rows = rows_of(path)
    line, header = next(rows)
    if not {"name", "part"} <= set(header) or len(set(header)) < len(header):
        raise bad(path, line, f"expected the header name,part, got {','.join(header)[:80]}", FORM)
    index = {spelling.form(name).strip(): at for at, name in enumerate(examples.names)}
    lines = np.zeros(len(examples), np.int64)  # where each image is named
    validates = np.zeros(len(examples), bool)
    for line, fields in rows:
        row = dict(zip(header, fields, strict=True))
        at = index.get(spelling.form(row["name"]), -1)
        if at < 0:
            near = spelling.hint(row["name"], examples.names)
            why = f"no picture {shown(row['name'])} in the data{near}"
            raise bad(path, line, why, "remove the line, or correct it")
        if row["part"] not in PARTS:
            why = f"the part must be {' or '.join(PARTS)}, got {shown(repr(row['part']))}"
            raise bad(path, line, why, "correct it")
        if lines[at]:
            why = f"{shown(row['name'])} is in line {lines[at]} already"
            raise bad(path, line, why, "remove one")
        _check(path, line, row, examples, at)
        lines[at], validates[at] = line, row["part"] == PARTS[1]
    missing = [examples.names[at] for at in np.flatnonzero(lines == 0).tolist()]
    if missing:
        raise DataError(
            f"pictures without a part in {shown(path)} - {len(missing)} of {len(examples)} are not "
            f"named: {first_few(missing)}; add them, or draw a split without --split_file"
        )
    for part, count in zip(PARTS, ((~validates).sum(), validates.sum()), strict=True):
        if not count:
            raise DataError(f"no {part} pictures in {shown(path)} - name some; {FORM}")
    return np.flatnonzero(~validates), np.flatnonzero(validates)


def _check(path: str, line: int, row: dict[str, str], examples: Examples, at: int) -> None:
    """Refuses a class or a content that is not that of the data."""
    known = labelling.text(examples.labels, at, examples.class_names)
    if row.get("class") and spelling.form(row["class"]) != spelling.form(known):
        why = f"{shown(row['name'])} is of {shown(repr(known))}, got {shown(repr(row['class']))}"
        raise bad(path, line, why, "correct the class, or leave the column out")
    if examples.digests is None or not row.get("digest"):
        return
    digest = bytes(examples.digests[at])
    if digest and digest.hex() != row["digest"].lower():
        why = f"{shown(row['name'])} has other content than the digest says"
        raise bad(path, line, why, "restore the picture, or leave the column out")
