"""File names in messages."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np


def shown(path: str | os.PathLike[str]) -> str:
    """Formats a path on one line; control characters and bytes that are not UTF-8 are escaped.

    TensorFlow drops an exception whose text is not UTF-8, so every `DataError` needs this.
    """
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(path))
    return "".join(escaped)


def beginning(start: bytes) -> str:
    """Shows the first bytes of a file: `"<html>"` if they are text, else in hexadecimal."""
    text = start.rstrip().decode("latin-1")
    if text.isascii() and text.isprintable() and text:
        return f'"{text}"'
    return f"the bytes {start.hex(' ')}"


def all_differ(names: Sequence[str]) -> bool:
    """Whether all names differ; it hashes them, and makes a set only if two hashes are equal."""
    hashes = np.fromiter(map(hash, names), np.int64, len(names))
    hashes.sort()
    return bool((hashes[1:] != hashes[:-1]).all()) or len(set(names)) == len(names)


def first_few(names: list[str], limit: int = 5) -> str:
    """Formats the first names, and the number of the others."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(shown(name) for name in names[:limit]) + more
