"""The rows of a CSV file, checked line by line."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator

from hw2.errors import DataError
from hw2.input.files import stand_ins
from hw2.input.files.names import shown

SEPARATORS = {";": ";", "\t": "tabs", "|": "|"}
_EXCEL = re.compile(r"sep=.?")  # which separator follows, for Excel
FORM = "a list of pictures has the header `file,class`"


def rows_of(path: str, form: str = FORM, *, lower: bool = True) -> Iterator[tuple[int, list[str]]]:
    """Yields line number and fields of every row, the header first, and unless not `lower` in
    lower case.

    All rows must have the same length. A row with a quoted line break spans several lines, and has
    the number of the last. `form` says in errors what the file should be.
    """
    line, width = 1, None
    try:
        stand_ins.check(path)
        _check_encoding(path)
        with open(path, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            reader = csv.reader(_without_nul(path, file), strict=True)
            for row in reader:
                line = reader.line_num
                if width is None:
                    if not row:
                        raise bad(path, line, "no header", form)
                    if len(row) == 1 or _EXCEL.fullmatch(row[0]):
                        _check_separator(path, line, row)
                    width = len(row)
                    head = [field.strip() for field in row]
                    yield line, [field.lower() for field in head] if lower else head
                    continue
                if not row:
                    raise bad(path, line, "the line is empty", "remove it")
                if len(row) != width:
                    why = f"expected {width} fields, as in the header, got {len(row)}"
                    raise bad(path, line, why, "correct it")
                yield line, [field.strip() for field in row]
    except csv.Error as error:
        raise bad(path, line + 1, shown(str(error)), "correct the quotes") from error
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise DataError(f"unreadable list in {shown(path)} - {why}; make it readable") from error
    if width is None:
        raise bad(path, 1, "the file is empty", form)


def _check_encoding(path: str) -> None:
    """Refuses UTF-16 and UTF-32, in which Windows saves "Unicode text"."""
    with open(path, "rb") as file:
        start = file.read(64)
    marked = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE))
    nul = start[::2].strip(b"\0") == b"" or start[1::2].strip(b"\0") == b""
    if marked or (nul and len(start) >= 4):
        raise bad(path, 1, "the text is UTF-16 or UTF-32, and not UTF-8", "save it as UTF-8")


def _check_separator(path: str, line: int, row: list[str]) -> None:
    """Refuses a header that spreadsheets write where a comma is no separator."""
    if _EXCEL.fullmatch(row[0]):
        raise bad(path, line, f"{row[0]} is a line for Excel alone", "remove it, and use commas")
    for separator, words in SEPARATORS.items():
        if separator in row[0]:
            raise bad(path, line, f"fields are separated by {words}", "separate them by commas")


def _without_nul(path: str, lines: Iterator[str]) -> Iterator[str]:
    """Refuses NUL, which the CSV reader of Python 3.10 does not accept."""
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise bad(path, number, "the line holds a NUL", "correct it")
        yield line


def bad(path: str, line: int, why: str, remedy: str) -> DataError:
    """Makes the error about a line."""
    return DataError(f"bad line in {shown(path)}:{line} - {why}; {remedy}")
