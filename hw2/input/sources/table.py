"""CSV files: lists of images and their classes, and labels of arrays."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import links, spelling
from hw2.input.files.names import first_few, shown
from hw2.input.files.rules import Rules, group_column
from hw2.input.scanning import scan
from hw2.input.scanning.listing import Listing
from hw2.input.sources import label_sets
from hw2.input.sources.rows import FORM, bad, rows_of

FILE = ("file", "filename", "file_name", "path", "image", "name", "picture")
CLASS = ("class", "label", "category", "species", "target")
NUMBER = ("id", "index", "number")
LABELS_FORM = "labels of an array have the header `label`, or `id,label`"
_WINDOWS = re.compile(r"[A-Za-z]:|.*\\")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_DIGITS = re.compile(r"[0-9]{1,300}")


def read_list(
    path: str | os.PathLike[str],
    rules: Rules | None = None,
    *,
    class_names: Sequence[str] | None = None,
    report: scan.Report | None = None,
) -> Examples:
    """Reads a list of image files, `file,class`, relative to its own folder, and scans them.

    A list may also have several labels an image, as `label_sets` describes.

    Args:
      path: UTF-8 text with commas and a header, with or without a BOM, with any line ends.
      rules: What is accepted.
      class_names: The classes, if known; by default those in the list.
      report: As for `scan.survey`.

    Raises:
      DataError: A line is malformed, or as `scan.examples`; the message names the line.
    """
    rules = scan.lenient(rules or Rules(), class_names)
    return scan.examples(listing(path, class_names, rules), rules, report=report)


def listing(
    path: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    rules: Rules | None = None,
) -> Listing:
    """Reads a list of image files without opening any of them.

    Links within the list's folder are followed; links out of it only if `rules` allow it.
    """
    path = os.fspath(path)
    header, several, line, rows = _opened(path, rules)
    if several:
        return _listing_of_sets(path, line, header, rows, class_names, rules)
    swapped = len(header) == 2 and header[0] in CLASS and header[1] in FILE
    if not swapped and (len(header) != 2 or header[0] not in FILE or header[1] not in CLASS):
        raise bad(path, line, f"expected the header file,class, got {_quoted(header)}", FORM)
    names, texts, lines = _listed(path, _turned(rows) if swapped else rows)
    if class_names is None:
        label_sets.check_single(path, texts, lines)
    labels, classes = _labels(path, texts, lines, class_names)
    root, refused = os.path.dirname(path), _refused(path, names, rules)
    notes = () if class_names is not None else spelling.notes(classes, _first(labels, lines))
    notes += _of_another_encoding(path, texts, lines)
    return Listing(
        root, names, labels, classes, source=path, lines=lines, refused=refused, notes=notes
    )


def to_classify(
    path: str | os.PathLike[str], class_names: Sequence[str], rules: Rules | None = None
) -> Listing:
    """Reads a list of image files to classify, `file` or `file,class`; a class may be empty.

    A list with several labels an image has all of them, and an empty one is no label at all.

    Raises:
      DataError: A line is malformed, or names a class that is not one of `class_names`.
    """
    path = os.fspath(path)
    header, several, line, rows = _opened(path, rules)
    if several:
        return _listing_of_sets(path, line, header, rows, class_names, rules)
    if len(header) == 2 and header[0] in CLASS and header[1] in FILE:
        header, rows = header[::-1], _turned(rows)
    if not 1 <= len(header) <= 2 or header[0] not in FILE or header[-1] not in (*FILE, *CLASS):
        why = f"expected the header file, or file,class, got {_quoted(header)}"
        raise bad(path, line, why, "correct it")
    names, texts, lines = _listed(path, rows)
    if not names:
        raise bad(path, 1, "no line after the header", "list the pictures")
    labels = np.full(len(names), -1, np.int32)
    labelled = [row for row, text in enumerate(texts) if text]
    where = [lines[row] for row in labelled]
    labels[labelled] = _known(path, [texts[row] for row in labelled], where, class_names)
    root, refused, classes = os.path.dirname(path), _refused(path, names, rules), tuple(class_names)
    return Listing(root, names, labels, classes, source=path, lines=lines, refused=refused)


def column(path: str | os.PathLike[str], name: str) -> dict[str, str]:
    """Reads a further column of a list: its text for each file.

    Raises:
      DataError: There is no such column.
    """
    path = os.fspath(path)
    rows = rows_of(path)
    line, header = next(rows)
    files = [at for at, word in enumerate(header) if word in FILE and word != name]
    if name not in header or not files:
        why = f"no column {shown(repr(name))} in the header {_quoted(header)}"
        raise bad(path, line, why, "add it, or name another")
    at, file = header.index(name), files[0]
    folders: dict[str, dict[str, str]] = {}
    return {
        _there(path, _checked_name(path, line, row[file]), folders): row[at] for line, row in rows
    }


def is_list(path: str | os.PathLike[str]) -> bool:
    """Whether a CSV file lists image files; otherwise its lines are the labels of an array."""
    try:
        _, header = next(rows_of(os.fspath(path)))
    except DataError:
        return True  # reading it will give the reason
    return not header or any(n in FILE for n in header) or header[0] not in (*CLASS, *NUMBER)


def read_labels(
    path: str | os.PathLike[str], count: int, class_names: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads the labels of `count` images: one per line, or `id,label` in any order.

    Ids are the indices of the images, counted from 0 or from 1.

    Returns:
      Labels, `[count]` int32, and the names of the classes.

    Raises:
      DataError: A line is malformed, or there are more or fewer than `count`.
    """
    path = os.fspath(path)
    rows = rows_of(path)
    line, header = next(rows)
    has_ids = len(header) == 2 and header[0] in NUMBER
    if len(header) != 1 + has_ids or header[-1] not in CLASS:
        raise bad(path, line, f"expected the header label, got {_quoted(header)}", LABELS_FORM)
    found = [(line, row) for line, row in rows]
    if len(found) != count:
        raise DataError(
            f"bad labels in {shown(path)} - {len(found)} labels for {count} images; "
            "take both from one data set"
        )
    lines = [line for line, _ in found]
    labels, classes = _labels(path, [row[-1] for _, row in found], lines, class_names)
    if has_ids:
        labels = labels[_order(path, [(line, row[0]) for line, row in found])]
    return labels, classes


def _opened(
    path: str, rules: Rules | None
) -> tuple[list[str], bool, int, Iterator[tuple[int, list[str]]]]:
    """Reads the header of a list, without the column of groups.

    Returns:
      The header, whether it means several labels an image, its line, and the rows. The header is
      in lower case, except that of several labels, which may name classes.
    """
    rows = rows_of(path, lower=False)
    line, header = next(rows)
    header, rows = _without(group_column(rules.group_by if rules else ""), header, rows)
    lower = [name.lower() for name in header]
    several = label_sets.is_header(lower, FILE, CLASS)
    return (header if several else lower), several, line, rows


def _listing_of_sets(
    path: str,
    line: int,
    header: list[str],
    rows: Iterator[tuple[int, list[str]]],
    class_names: Sequence[str] | None,
    rules: Rules | None,
) -> Listing:
    """Reads a list with several labels an image."""
    sets, columns = label_sets.as_sets(path, line, header, rows, FILE)
    names, texts, lines = _listed(path, sets)
    labels, classes = label_sets.read(path, texts, lines, columns, class_names)
    notes: tuple[str, ...] = ()
    if class_names is None and columns is None:
        notes = spelling.notes(classes, _first(labels, lines))
    empty = int((labels.sum(1) == 0).sum())
    if empty:
        notes += (f"{empty:,} of {len(names):,} pictures have no label",)
    notes += _of_another_encoding(path, texts, lines)
    root, refused = os.path.dirname(path), _refused(path, names, rules)
    return Listing(
        root, names, labels, classes, source=path, lines=lines, refused=refused, notes=notes
    )


def _listed(
    path: str, rows: Iterator[tuple[int, list[str]]]
) -> tuple[list[str], list[str], list[int]]:
    """Returns names, classes ("" without such a column) and line numbers; names must differ."""
    names, texts, lines = [], [], []
    seen: dict[str, int] = {}
    folders: dict[str, dict[str, str]] = {}
    for line, (name, *label) in rows:
        name = _there(path, _checked_name(path, line, name), folders)
        if name in seen:
            raise bad(path, line, f"{shown(name)} is in line {seen[name]} already", "remove one")
        seen[name] = line
        names.append(name)
        texts.append(label[0] if label else "")
        lines.append(line)
    return names, texts, lines


def _there(path: str, name: str, folders: dict[str, dict[str, str]]) -> str:
    """Returns a name as the disk spells it, where that differs in the form of Unicode only.

    Args:
      path: The list.
      name: The name in the list.
      folders: What is in the folders seen before, by its name in NFC; it grows.
    """
    if name.isascii():
        return name
    root = os.path.dirname(path)
    if os.path.lexists(os.path.join(root, name)):
        return name
    found = ""
    for part in name.split("/"):
        if found not in folders:
            try:
                there = os.listdir(os.path.join(root, found) or os.curdir)
            except OSError:
                return name  # opening it will give the reason
            folders[found] = {spelling.form(entry): entry for entry in there}
        found = os.path.join(found, folders[found].get(spelling.form(part), part))
    return found


def _refused(path: str, names: Sequence[str], rules: Rules | None) -> dict[int, str]:
    """Returns the reasons why some files of a list must not be opened, by their index."""
    if rules and rules.allow_outside_links:
        return {}
    return links.refused(os.path.dirname(path), names, "the folder of the list")


def _order(path: str, ids: Sequence[tuple[int, str]]) -> np.ndarray:
    """Returns the row of each image, by the ids of the rows."""
    first = 0 if any(text == "0" for _, text in ids) else 1
    rows = np.full(len(ids), -1, np.int64)
    for row, (line, text) in enumerate(ids):
        number = int(text) - first if _INTEGER.fullmatch(text) else -1
        if not 0 <= number < len(ids):
            raise bad(
                path,
                line,
                f"expected an id in [{first}, {len(ids) + first}), got {shown(repr(text))}",
                "ids are the numbers of the images",
            )
        if rows[number] >= 0:
            raise bad(path, line, f"id {text} occurs twice", "remove one")
        rows[number] = row
    return rows


def _labels(
    path: str, texts: Sequence[str], lines: Sequence[int], class_names: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns labels and classes, sorted by name, or by value if all are plain numbers."""
    if not texts:
        raise bad(path, 1, "no line after the header", "list the pictures")
    if class_names is not None:
        return _known(path, texts, lines, class_names), tuple(class_names)
    for text, line in zip(texts, lines, strict=True):
        if not text:
            raise bad(path, line, "the label is empty", "name a class")
    if all(map(_is_number, texts)):  # then a fraction is a measurement, and no class
        for text, line in zip(texts, lines, strict=True):
            if not _DIGITS.fullmatch(text):
                why = "labels that are numbers must be whole and at least 0, got "
                raise bad(path, line, f"{why}{shown(repr(text))}", "correct it")
    first: dict[str, str] = {}  # of the spellings of a name in Unicode, the first in the list
    for text in texts:
        first.setdefault(spelling.form(text), text)
    in_order = sorted(first, key=_by_value if all(map(_DIGITS.fullmatch, first)) else None)
    classes = [first[name] for name in in_order]
    if len(classes) < 2:
        raise DataError(
            f"no classes in {shown(path)} - one class only, {first_few(classes)}; "
            "two are needed at least"
        )
    number = {name: label for label, name in enumerate(in_order)}
    return np.array([number[spelling.form(text)] for text in texts], np.int32), tuple(classes)


def _is_number(text: str) -> bool:
    """Whether a text is a number of any kind, infinite or NaN included."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _by_value(text: str) -> tuple[int, str]:
    return int(text), text


def _known(
    path: str, texts: Sequence[str], lines: Sequence[int], class_names: Sequence[str]
) -> np.ndarray:
    """Returns labels by the names of the known classes."""
    find = spelling.finder(class_names)
    labels = np.array([find(text) for text in texts], np.int32)
    for row in np.flatnonzero(labels < 0)[:1].tolist():
        near = spelling.hint(texts[row], class_names)
        raise bad(
            path,
            lines[row],
            f"label {shown(repr(texts[row]))} is not one of the {len(class_names)} classes "
            f"{first_few(list(class_names), 10)}{near}",
            "leave the picture out, or train a model on it",
        )
    return labels


def _of_another_encoding(path: str, texts: Sequence[str], lines: Sequence[int]) -> tuple[str, ...]:
    """Returns a note where labels are not UTF-8, as those that Excel saves as plain CSV."""
    odd = [row for row, text in enumerate(texts) if not text.isascii() and text != _utf8(text)]
    if not odd:
        return ()
    return (
        f"{len(odd)} labels are not UTF-8, the first in line {lines[odd[0]]} "
        f"({shown(texts[odd[0]])}): save the list as CSV UTF-8, if a spreadsheet made it",
    )


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _first(labels: np.ndarray, lines: Sequence[int]) -> Callable[[int], str]:
    """Makes the function that says in which line a class is first named."""
    return lambda label: f" (line {lines[int(np.flatnonzero(labelling.has(labels, label))[0])]})"


def _without(
    name: str, header: list[str], rows: Iterator[tuple[int, list[str]]]
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Leaves out a column, if there is one of that name beside file and class."""
    lower = [one.lower() for one in header]
    if not name or name not in lower or len(header) < 2:
        return header, rows
    at = lower.index(name)
    return header[:at] + header[at + 1 :], ((line, row[:at] + row[at + 1 :]) for line, row in rows)


def _turned(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yields rows of class and file as rows of file and class."""
    return ((line, row[::-1]) for line, row in rows)


def _checked_name(path: str, line: int, name: str) -> str:
    why = None
    if not name:
        why = "the file name is empty"
    elif "\0" in name:
        why = f"the file name {shown(repr(name))} holds a NUL"
    elif _URL.match(name):
        why = f"{shown(name)} is a URL"
    elif name.startswith("/") or _WINDOWS.match(name):
        why = f"{shown(name)} is not relative, with / between folders"
    elif ".." in name.split("/"):
        why = f"{shown(name)} leads out of the folder of the list"
    if why:
        raise bad(path, line, why, "name a file below that folder")
    return os.path.normpath(name)


def _quoted(header: Sequence[str]) -> str:
    return shown(repr(",".join(header))[:80])
