"""How names of classes are compared: in one Unicode form, and told of where they nearly agree."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

from hw2.input.files.names import first_few, shown

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_DIGITS = re.compile(r"[0-9]{1,18}")
_UNSEEN = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))  # of no width
_KINDS = "case, kinds of space or of letter forms"


def form(name: str) -> str:
    """Returns a name in NFC, the form in which names are compared.

    Systems write one letter in several ways: macOS takes the letters of a file's name apart.
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def likeness(name: str) -> str:
    """Returns what is left of a name without case, kinds of space, and letters of no width."""
    text = unicodedata.normalize("NFKC", name.translate(_UNSEEN)).casefold()
    return " ".join(unicodedata.normalize("NFC", text).split())


def finder(class_names: Sequence[str]) -> Callable[[str], int]:
    """Returns the function from a name to the number of its class, -1 if it is none of them.

    Runs that began before labels were text know "7" for "007"; where every class is a plain
    number, a number with zeros before it is therefore found too.
    """
    numbers = {form(name): number for number, name in enumerate(class_names)}
    numbers |= {name: number for number, name in enumerate(class_names)}
    plain = all(_NUMBER.fullmatch(name) for name in class_names)

    def find(name: str) -> int:
        found = numbers.get(name, -1)
        if found < 0:
            found = numbers.get(form(name), -1)
        if found < 0 and plain and _DIGITS.fullmatch(name):
            found = numbers.get(str(int(name)), -1)
        return found

    return find


def same(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two lists hold the same names in the same order."""
    return list(map(form, names)) == list(map(form, others))


def alike(names: Sequence[str]) -> list[tuple[int, int]]:
    """Returns the indices of names that differ by case or kinds of space only, in pairs."""
    first: dict[str, int] = {}
    pairs = ((first.setdefault(likeness(name), i), i) for i, name in enumerate(names))
    return [(a, b) for a, b in pairs if a != b and form(names[a]) != form(names[b])]


def notes(names: Sequence[str], where: Callable[[int], str] = lambda _: "") -> tuple[str, ...]:
    """Tells of classes that differ by case or kinds of space only.

    Args:
      names: The classes.
      where: From the number of a class to where it was read, such as " (line 3)".
    """
    found = []
    for a, b in alike(names):
        only_case = names[a].casefold() == names[b].casefold()
        one, other = (shown(n) if only_case else shown(repr(n)) for n in (names[a], names[b]))
        by = "case" if only_case else _KINDS
        found.append(f"classes {one}{where(a)} and {other}{where(b)} differ in {by} only")
    return tuple(found)


def unknown(names: Sequence[str], class_names: Sequence[str]) -> str:
    """Says which names are no class that a model knows; nothing if there are none."""
    find = finder(class_names)
    found = [name for name in names if find(name) < 0]
    if not found:
        return ""
    return (
        f"unknown classes in the data - {first_few(found)}{hint(found[0], class_names)}: the "
        f"model knows {len(class_names)}, among them {first_few(list(class_names), 3)}; "
        "leave those pictures out, or train a model on them"
    )


def hint(name: str, class_names: Sequence[str]) -> str:
    """Says which class a name nearly is, for a message about a name that is unknown."""
    near = next((other for other in class_names if likeness(other) == likeness(name)), None)
    return f" ({shown(repr(near))} differs from it in {_KINDS} only)" if near is not None else ""
