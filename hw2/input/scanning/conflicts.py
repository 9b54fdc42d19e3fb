"""Images whose content is in several classes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.files import duplicates
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules

REMEDY = "leave each in one class"
REASON = "the same picture lies in several classes"


class Names(Protocol):
    """Gives the name of each image by its index."""

    def __getitem__(self, index: int, /) -> str: ...


def conflicting(labels: np.ndarray, digests: np.ndarray) -> tuple[np.ndarray, list]:
    """Finds images whose content is in several classes.

    Returns:
      Indices of all such images; and for each that is not in the class of the first with its
      content, the pair of the two.
    """
    first = duplicates.first_of_each(digests)
    second = np.flatnonzero(~labelling.equal(labels[first], labels))
    involved = np.flatnonzero(np.isin(first, first[second]))
    return involved, [(int(first[i]), int(i)) for i in second]


def check_conflicts(
    source: str, names: Names, labels: np.ndarray, digests: np.ndarray, rules: Rules
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Finds images whose content is in several classes.

    Returns:
      Indices of those that are to be left out, and a note if there are any such images.

    Raises:
      DataError: There are more of them than `rules` accepts.
    """
    involved, found = conflicting(labels, digests)
    if not found:
        return involved, ()
    shown_pairs = duplicates.equations([(shown(names[a]), shown(names[b])) for a, b in found])
    if rules.skip_conflicts:
        return involved, (skipped(len(involved), shown_pairs),)
    if len(involved) / len(labels) > rules.max_bad_fraction:
        words = line(source, len(involved), len(labels), shown_pairs, rules)
        raise DataError(f"{words}; {REMEDY}")
    return involved[:0], (f"conflicting labels of {len(involved)} pictures: {shown_pairs}",)


def skipped(count: int, pairs: str) -> str:
    """Says that images in several classes are left out."""
    return f"skipped {count} pictures that lie in several classes: {pairs}"


def line(
    source: str, involved: int, count: int, pairs: str, rules: Rules, *, several: bool = False
) -> str:
    """Says that too many of `count` images are in several classes, or have different labels."""
    what = "have different labels at one place and another" if several else "lie in several classes"
    return (
        f"conflicting labels in {shown(source)} - {involved} of {count} pictures "
        f"{what}, over --max_bad_fraction={rules.max_bad_fraction:g}: "
        f"{pairs}"
    )
