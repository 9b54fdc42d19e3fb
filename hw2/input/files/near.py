"""The file that was probably meant, where there is none of the name that was given."""

from __future__ import annotations

import functools
import os
import unicodedata


def near(path: str | os.PathLike[str]) -> str | None:
    """Finds a file beside a missing one, whose name differs in case, suffix or encoding only.

    Args:
      path: The missing file.

    Returns:
      The name of the other file, or None if there is none, or more than one.

    Cost: the folder is listed once, and again when it has changed.
    """
    folder, name = os.path.split(os.fspath(path))
    try:
        whole, stems = _names(folder, os.stat(folder or os.curdir).st_mtime_ns)
    except OSError:
        return None
    for spelling in (name, _of_windows(name)):
        found = whole.get(_form(spelling), set()) or stems.get(_form(spelling), set())
        if len(found) == 1:
            return next(iter(found))
    return None


@functools.lru_cache(maxsize=4)
def _names(folder: str, changed: int) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Lists a folder by the forms of its names, and of its names without suffix."""
    whole: dict[str, set[str]] = {}
    stems: dict[str, set[str]] = {}
    for name in os.listdir(folder or os.curdir):
        whole.setdefault(_form(name), set()).add(name)
        stems.setdefault(_form(os.path.splitext(name)[0]), set()).add(name)
    return whole, stems


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _of_windows(name: str) -> str:
    """Reads the bytes of a name that are not UTF-8 as Western European Windows wrote them."""
    return os.fsencode(name).decode("cp1252", "replace")
