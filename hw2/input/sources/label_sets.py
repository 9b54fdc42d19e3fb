"""Lists in which an image may have several classes: in one column, or in a column for each class.

file,labels             file,cat,dog
1.png,cat;dog           1.png,1,1
2.png,                  2.png,0,0
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input.files import spelling
from hw2.input.files.names import first_few, shown
from hw2.input.labels import SEPARATOR
from hw2.input.sources.rows import bad

SET = ("labels", "classes", "tags", "categories")  # headers of a column with all of them
FORM = (
    "several labels a picture have the header `file,labels`, with ; between the labels, or `file` "
    "and a column for each class, with 1 where the picture has it and else 0"
)
_CELLS = {"1": True, "1.0": True, "0": False, "0.0": False}  # pandas writes the longer ones

Rows = Iterator[tuple[int, list[str]]]


def is_header(header: Sequence[str], file: Sequence[str], one: Sequence[str]) -> bool:
    """Whether a header announces several labels an image.

    Args:
      header: The names of the columns, in lower case.
      file: Names of a column of files.
      one: Names of a column with one class an image.
    """
    others = [name for name in header if name not in file]
    if len(others) == len(header) or set(others) & set(one):
        return False
    return len(others) > 1 or bool(set(others) & set(SET))


def as_sets(
    path: str, line: int, header: Sequence[str], rows: Rows, file: Sequence[str]
) -> tuple[Rows, tuple[str, ...] | None]:
    """Turns the rows of both forms into rows of a file and its labels, `SEPARATOR` between them.

    Args:
      path: The list.
      line: The line of the header.
      header: As it is written; `is_header` is true of it.
      rows: The rows after it.
      file: Names of a column of files.

    Returns:
      The rows, and the classes where they have columns.

    Raises:
      DataError: The header can be read in two ways, or a cell is neither 1 nor 0.
    """
    lower = [name.lower() for name in header]
    files = [at for at, name in enumerate(lower) if name in file]
    others = [at for at in range(len(header)) if at != files[0]]
    words = f"the header {shown(repr(','.join(header))[:80])}"
    if len(files) > 1:
        two = " and ".join(shown(header[at]) for at in files[:2])
        why = f"{words} is ambiguous: {two} may both name the file"
        raise bad(path, line, why, "leave out or rename one of them")
    sets = [at for at in others if lower[at] in SET]
    if sets and len(others) > 1:
        why = (
            f"{words} is ambiguous: {shown(header[sets[0]])} may hold all labels of a picture, or "
            "be one class among others"
        )
        raise bad(path, line, why, f"leave out that column, or all others; {FORM}")
    if sets:
        return ((n, [row[files[0]], row[sets[0]]]) for n, row in rows), None
    classes = tuple(header[at] for at in others)
    twice = [
        n for n, count in collections.Counter(map(spelling.form, classes)).items() if count > 1
    ]
    odd = next((name for name in classes if not name or SEPARATOR in name), None)
    if twice:
        raise bad(path, line, f"two columns are named {shown(twice[0])}", "remove one")
    if odd is not None:
        why = f"a class cannot be named {shown(repr(odd))}"
        raise bad(path, line, why, f"name each column, without {SEPARATOR}")
    return _of_columns(path, rows, files[0], others, classes), classes


def read(
    path: str,
    texts: Sequence[str],
    lines: Sequence[int],
    columns: Sequence[str] | None,
    class_names: Sequence[str] | None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Reads the labels of images from texts, `SEPARATOR` between them.

    Args:
      path: The list.
      texts: One for each image; an empty one is an image of no class.
      lines: Their lines.
      columns: The classes in the order of their columns, if they have columns.
      class_names: The classes of a model, if they are known.

    Returns:
      `[N, classes]` uint8, 1 where an image has a class; and the names of the classes, sorted
      unless they have columns.

    Raises:
      DataError: A label is empty, there twice, or none of the known classes.
    """
    if not texts:
        raise bad(path, 1, "no line after the header", "list the pictures")
    found = [_parts(path, text, line) for text, line in zip(texts, lines, strict=True)]
    known = class_names if class_names is not None else columns
    if known is None:
        known = _sorted(found)
        if len(known) < 2:
            raise DataError(
                f"no classes in {shown(path)} - {first_few(list(known)) or 'no label'} only; two "
                "are needed at least"
            )
    find = spelling.finder(known)
    if columns is not None and (words := spelling.unknown(columns, known)):
        raise DataError(f"{shown(path)}: {words}")
    labels = np.zeros([len(texts), len(known)], np.uint8)
    for row, names in enumerate(found):
        for name in names:
            number = find(name)
            if number < 0:
                near = spelling.hint(name, known)
                raise bad(
                    path,
                    lines[row],
                    f"label {shown(repr(name))} is not one of the {len(known)} classes "
                    f"{first_few(list(known), 10)}{near}",
                    "leave the label out, or train a model on it",
                )
            labels[row, number] = 1
    return labels, tuple(known)


def check_single(path: str, texts: Sequence[str], lines: Sequence[int]) -> None:
    """Refuses a list of one class an image whose cells are plainly sets of several.

    They are where a part between two `SEPARATOR`s is in another cell too: taken for the name of a
    class, each set would be a class of its own.

    Raises:
      DataError: A cell is such a set; the message names its line.
    """
    seen: dict[str, str] = {}  # of each part, the cell that has it
    sets: list[tuple[str, int]] = []
    shared = False
    for text, line in zip(texts, lines, strict=True):
        parts = [part.strip() for part in text.split(SEPARATOR)]
        if len(parts) > 1 and all(parts):
            sets.append((text, line))
        for part in parts:
            shared |= seen.setdefault(part, text) != text
    if sets and shared:
        text, line = sets[0]
        why = f"{shown(repr(text))} is several labels, and the header means one class a picture"
        raise bad(path, line, why, f"name the column labels, or write a name without it; {FORM}")


def _of_columns(
    path: str, rows: Rows, file: int, others: Sequence[int], classes: Sequence[str]
) -> Rows:
    for line, row in rows:
        for at, name in zip(others, classes, strict=True):
            if row[at] not in _CELLS:
                why = f"column {shown(repr(name))} must have 1 or 0, got {shown(repr(row[at]))}"
                raise bad(path, line, why, f"correct it, or leave out what is no class; {FORM}")
        has = [name for at, name in zip(others, classes, strict=True) if _CELLS[row[at]]]
        yield line, [row[file], SEPARATOR.join(has)]


def _parts(path: str, text: str, line: int) -> list[str]:
    """The labels of an image."""
    if not text:
        return []
    parts = [part.strip() for part in text.split(SEPARATOR)]
    if not all(parts):
        why = f"a label is empty in {shown(repr(text))}"
        raise bad(path, line, why, f"write {SEPARATOR} between two labels only")
    forms = list(map(spelling.form, parts))
    twice = [name for name, count in collections.Counter(forms).items() if count > 1]
    if twice:
        why = f"label {shown(repr(twice[0]))} is there twice"
        raise bad(path, line, why, "remove one")
    return parts


def _sorted(found: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The classes by name, or by value if all are plain numbers."""
    first: dict[str, str] = {}  # of the spellings of a name in Unicode, the first in the list
    for names in found:
        for name in names:
            first.setdefault(spelling.form(name), name)
    numbers = all(name.isascii() and name.isdigit() for name in first)
    in_order = sorted(first, key=(lambda name: (int(name), name)) if numbers else None)
    return tuple(first[name] for name in in_order)
