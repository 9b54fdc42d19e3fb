"""Groups of images that must not be parted: frames of one film, images of one patient."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import duplicates
from hw2.input.files.names import first_few, shown
from hw2.input.files.rules import NEAR_DUPLICATES, default_cache_folder, group_column
from hw2.input.scanning import hashes
from hw2.input.scanning.survey import Report
from hw2.input.sources import table

NONE = ""  # the key of an image that is in no group


def keys(
    examples: Examples, group_by: str, source: str, report: Report | None = None
) -> np.ndarray:
    """Finds the group of each image, `[N]` texts; `NONE` for an image in no group.

    Args:
      examples: The images.
      group_by: "near_duplicates"; "column:NAME" of the list that `source` is; or a regular
        expression, whose first group in a name is the key. It may match anywhere in the name.
      source: What the user gave, for messages.
      report: Called with the number of images looked at, and of all, where that takes time.

    Raises:
      DataError: There is no such column.
      UsageError: A library is missing.
    """
    if group_by == NEAR_DUPLICATES:
        return _near(examples, report)
    return keys_of(examples.names, group_by, source)


def keys_of(names: Sequence[str], group_by: str, source: str) -> np.ndarray:
    """Finds groups as `keys` does, by the names alone; not those of near-duplicates."""
    if column := group_column(group_by):
        if not (os.path.isfile(source) and source.endswith(".csv")):
            raise DataError(
                f"no columns in {shown(source)} - --group_by={group_by} needs a .csv of file and "
                "class; give a regular expression on the paths instead"
            )
        values = table.column(source, column)
        return np.array([values.get(name, NONE) for name in names], object)
    matches = map(re.compile(group_by).search, names)
    return np.array([(found and found[1]) or NONE for found in matches], object)


def checked(found: np.ndarray, examples: Examples, group_by: str, source: str) -> None:
    """Refuses groups that cannot be parted.

    Raises:
      DataError: No image is in a group, or all are in one.
    """
    if group_by == NEAR_DUPLICATES:
        return
    kinds = set(found.tolist()) - {NONE}
    if not kinds:
        raise DataError(
            f"no groups in {shown(source)} - --group_by={group_by} finds none in "
            f"{len(examples)} names, such as {first_few(list(examples.names), 2)}; correct it"
        )
    if len(kinds) == 1 and NONE not in found:
        raise DataError(
            f"one group only in {shown(source)} - by --group_by={group_by} all pictures are of "
            f"{shown(kinds.pop())}, and a group cannot be split; give another --group_by"
        )


def numbers(found: np.ndarray, digests: np.ndarray | None) -> np.ndarray:
    """Numbers the groups, `[N]`: images with one key, or with the same content, belong together.

    Args:
      found: The keys, from `keys`.
      digests: Of the content, if they are known.
    """
    alone = np.arange(len(found))
    _, first, inverse = np.unique(found.astype(str), return_index=True, return_inverse=True)
    edges = [np.where(found == NONE, alone, first[inverse])]
    if digests is not None:
        edges.append(duplicates.first_of_each(digests))
    return _joined(len(found), [np.stack([alone, others], 1) for others in edges])


def parted(found: np.ndarray, one: np.ndarray, other: np.ndarray) -> list[str]:
    """Lists the keys that are on both sides."""
    return sorted((set(found[one].tolist()) & set(found[other].tolist())) - {NONE})


def notes(
    examples: Examples, found: np.ndarray, group_by: str, validation: np.ndarray
) -> list[str]:
    """Describes a split by groups, for the caller to print."""
    kinds = set(found.tolist()) - {NONE}
    share = len(validation) / max(len(examples), 1)
    said = [f"{len(kinds):,} groups by --group_by={group_by}: {share:.1%} of the pictures validate"]
    loose = int((found == NONE).sum())
    if loose and group_by != NEAR_DUPLICATES:
        first = examples.names[int(np.flatnonzero(found == NONE)[0])]
        said.append(f"{loose} pictures are in no group, and each is one by itself: {shown(first)}")
    one_group = [
        f"{shown(examples.class_names[label])} ({shown(own.pop())})"
        for label in range(len(examples.class_names))
        if len(own := set(found[labelling.has(examples.labels, label)].tolist())) == 1
        and NONE not in own
    ]
    if one_group:
        said.append(
            f"classes with all pictures in one group, which only train: {', '.join(one_group[:5])}"
        )
    return said


def near_pairs(one: Examples, other: Examples, report: Report | None = None) -> np.ndarray:
    """Lists pairs of images of two sources that look alike, `[P, 2]`: an index into each."""
    first, there = _hashes(one, report)
    second, also = _hashes(other, report)
    found = hashes.pairs(np.concatenate([first, second]), np.concatenate([there, also]))
    # Equal hashes are paired with the first of them only, which may be on either side.
    group = _joined(len(one) + len(other), [found])
    _, left = np.unique(group[: len(one)], return_index=True)
    first_of = dict(zip(group[left].tolist(), left.tolist(), strict=True))
    places = [(first_of.get(g, -1), at) for at, g in enumerate(group[len(one) :].tolist())]
    return np.array([pair for pair in places if pair[0] >= 0], np.int64).reshape(-1, 2)


def _near(examples: Examples, report: Report | None) -> np.ndarray:
    """The key of images that look alike: the name of the first of them."""
    found, there = _hashes(examples, report)
    group = _joined(len(examples), [hashes.pairs(found, there)])
    _, first, counts = np.unique(group, return_index=True, return_counts=True)
    texts = np.array(list(examples.names), object)[first]
    texts[counts == 1] = NONE
    return texts[group]


def _hashes(examples: Examples, report: Report | None) -> tuple[np.ndarray, np.ndarray]:
    digests = examples.digests
    if digests is None or not examples.from_content:
        digests = np.zeros(len(examples), duplicates.DIGEST)
    return hashes.of(examples.load, digests, cache_folder=default_cache_folder(), report=report)


def _joined(count: int, edges: Sequence[np.ndarray]) -> np.ndarray:
    """Numbers what is joined by edges, directly or through others."""
    ends = np.concatenate(edges) if edges else np.zeros([0, 2], np.int64)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)
