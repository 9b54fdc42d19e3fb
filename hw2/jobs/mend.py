"""Mending labels: a list of all labels of a data set, with those that a user has corrected."""

from __future__ import annotations

import csv
import json
import os
import shlex

import numpy as np
from rich.console import Console

from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.files import spelling
from hw2.input.files.names import shown
from hw2.input.sources import builtin, npy
from hw2.input.sources.rows import bad, rows_of
from hw2.jobs import answers, data
from hw2.terminal import console

FORM = "a list of suspects has the columns name and class"


def mend(config: Config, corrections: str) -> None:
    """Writes a list of all labels, with corrections, and prints one JSON line.

    The data themselves are left as they are.

    Args:
      config: The settings: the data, and `output`, the list to write.
      corrections: A CSV file such as `suspects.csv`: `name` and `class`, and `given`, if it is
        there, the class that the data have.

    Raises:
      DataError: A line names no image or no class, or the data cannot have a list of labels.
      UsageError: The output cannot be.
    """
    out = console.stderr()
    config = settings.absolute(config)
    answers.check(config.output, overwrite=config.overwrite)
    examples = data.read_examples(config, config.train_data_path, "train", out)
    if examples.several:
        raise DataError(
            f"no list of {config.train_data_path} - its pictures have several labels, and hw2 mend "
            "writes one a picture; correct the list by hand"
        )
    train, header = _form(config, examples)
    labels = corrected(corrections, examples)
    with answers.opened(config.output) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(header)
        names = examples.names if header[0] == "file" else range(len(examples))
        classes = examples.class_names
        rows.writerows((name, classes[label]) for name, label in zip(names, labels, strict=True))
    count = int((labels != examples.labels).sum())
    _tell(count, len(labels), train, config, out)


def corrected(path: str, examples: Examples) -> np.ndarray:
    """The labels of the examples, `[N]`, after the corrections of a file.

    Raises:
      DataError: A line is wrong.
    """
    labels = examples.labels.copy()
    at = {spelling.form(name).strip(): index for index, name in enumerate(examples.names)}
    find = spelling.finder(examples.class_names)
    rows = rows_of(path, FORM)
    line, header = next(rows)
    if not {"name", "class"} <= set(header):
        raise bad(path, line, f"expected name and class, got {','.join(header)[:80]}", FORM)
    lines: dict[int, int] = {}
    for line, fields in rows:
        row = dict(zip(header, fields, strict=True))
        name = spelling.form(row["name"])
        index = at.get(name, at.get(name.removeprefix("'"), -1))  # as written for spreadsheets
        if index < 0:
            near = spelling.hint(row["name"], examples.names)
            why = f"no picture {shown(row['name'])} in the data{near}"
            raise bad(path, line, why, "remove the line, or correct it")
        if index in lines:
            why = f"{shown(row['name'])} is in line {lines[index]} already"
            raise bad(path, line, why, "remove one")
        label, given = (_class(find, row.get(column, "")) for column in ("class", "given"))
        if label < 0:
            near = spelling.hint(row["class"], examples.class_names)
            why = f"{shown(repr(row['class']))} is no class of the data{near}"
            raise bad(path, line, why, "remove the line, or correct it")
        if row.get("given") and given != examples.labels[index]:
            known = examples.class_names[examples.labels[index]]
            why = (
                f"{shown(row['name'])} is of {shown(repr(known))}, not {shown(repr(row['given']))}"
            )
            raise bad(path, line, why, "the list is of other data, or these are mended already")
        lines[index], labels[index] = line, label
    return labels


def _class(find, text: str) -> int:
    label = find(text)
    return label if label >= 0 else find(text.removeprefix("'"))


def _form(config: Config, examples: Examples) -> tuple[str, tuple[str, str]]:
    """What to train on afterwards, and the header of the list.

    Raises:
      DataError: The data have labels that no list can replace.
    """
    path = config.train_data_path
    kind = ""
    if path in builtin.NAMES:
        kind = "a built-in data set has labels of its own"
    elif examples.validation is not None:
        kind = "a list would lose its validation part"
    if kind:
        raise DataError(f"no list for {shown(path)} - {kind}; correct the labels in the data")
    images = path.rpartition(",")[0] or path
    if os.path.isdir(path) and (found := npy.find(path, "train")):
        images = found
    if images.endswith(npy.SUFFIXES):
        return f"{images},{config.output}", ("id", "label")
    root = path if os.path.isdir(path) else os.path.dirname(path)
    if not all(os.path.isfile(os.path.join(root, name)) for name in examples.names):
        raise DataError(
            f"no list for {shown(path)} - its pictures are no files; correct the labels in the data"
        )
    if os.path.realpath(os.path.dirname(os.path.abspath(config.output))) != os.path.realpath(root):
        raise DataError(
            f"no list in {shown(config.output)} - a list names files below its own folder; "
            f"give --output={shown(os.path.join(root, 'labels.csv'))}"
        )
    return config.output, ("file", "class")


def _tell(count: int, total: int, train: str, config: Config, out: Console) -> None:
    out.print(f"{config.output}: {total:,} labels, {count:,} of them mended")
    out.print(f"next:\n  hw2 train {shlex.quote(train)}", soft_wrap=True)
    result = {"output": config.output, "labels": total, "mended": count, "train_data_path": train}
    print(json.dumps(result), flush=True)
