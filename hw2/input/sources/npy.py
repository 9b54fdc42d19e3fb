"""Examples from `.npy` and `.npz` files, with their labels beside them or inside."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hw2.errors import DataError
from hw2.input import labels as labelling
from hw2.input.examples import Examples, subset, without_empty_classes
from hw2.input.files import decode, levels, spelling
from hw2.input.files import flat as flatness
from hw2.input.files.duplicates import DIGEST
from hw2.input.files.names import first_few, shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import conflicts, scan, troubles
from hw2.input.sources import arrays, npy_files, table

SUFFIXES = (".npy", ".npz")


def read_arrays(
    path: str | os.PathLike[str],
    labels_path: str | os.PathLike[str] | None,
    part: str,
    rules: Rules | None = None,
    *,
    class_names: Sequence[str] | None = None,
    report: scan.Report | None = None,
) -> Examples:
    """Reads images and labels; an `.npy` file of images stays on disk, mapped into memory.

    Args:
      path: An `.npy` file of images, or an `.npz` file of images, with or without labels.
      labels_path: A `.csv` or `.npy` file. None looks into the `.npz`, then beside `path`.
      part: "train", "validation" or "test", for an `.npz` that holds several.
      rules: What is accepted.
      class_names: The classes, if known; by default those that the labels name.
      report: Called from time to time with the number of images checked, and of all.

    Raises:
      DataError: A file is damaged or holds something else, the numbers of labels and images
        differ, or a label is not one of the classes. Pickled data is never loaded.

    Cost: one pass over all pixels, which checks their range and hashes them.
    """
    path, rules = os.fspath(path), rules or Rules()
    images, inside = npy_files.images_and_labels(path, part)
    if labels_path is None and inside is None:
        labels_path = find_labels(path)
    if labels_path is not None:
        labels, classes = _read_labels(os.fspath(labels_path), len(images), class_names)
    elif inside is not None:
        labels, classes = _named(path, inside, len(images), class_names)
    else:
        raise DataError(
            f"no labels for {shown(path)} - neither in it nor beside it; add "
            f"{shown(_stem(path))}_labels.csv or .npy, or give IMAGES,LABELS"
        )
    arrays.check(path, images, rules)
    seen = _pass(path, images, report)
    scale, told = levels.find(path, seen.kind, seen.values, given=rules.levels, known=rules.scale)
    names = _Numbers(len(images))
    bad = seen.bad | levels.misfits(path, scale, seen.values)
    told += _skipping(path, bad, names, len(images), rules)
    flat = np.flatnonzero(seen.spreads * (255 / scale.white) <= flatness.SPREAD)
    told += flatness.note([names[i] for i in flat.tolist()], len(images))
    told += spelling.notes(classes, lambda label: _where(labels, label))
    digests = np.where(np.isin(np.arange(len(images)), list(bad)), b"", seen.digests)
    twice, words = conflicts.check_conflicts(path, names, labels, digests, rules)
    told += words
    examples = arrays.lazy_examples(
        lambda index: levels.to_bytes(images[index], scale),
        images.shape,
        labels,
        classes,
        seen.digests,
    )
    examples = dataclasses.replace(examples, notes=told, scale=scale)
    return _without(path, examples, {i: str(error) for i, error in bad.items()}, twice, rules)


@dataclasses.dataclass(frozen=True, eq=False)
class Opened:
    """Images to classify.

    Attributes:
      picture: Maps an index to uint8 `[H, W, C]`; raises a `DataError` for a bad image.
      shape: (N, H, W, C).
      labels: `[N]` int32; -1 for an image without a label.
      notes: The reason if labels were found but cannot be used.
    """

    picture: Callable[[int], np.ndarray] = dataclasses.field(repr=False)
    shape: tuple[int, int, int, int]
    labels: np.ndarray = dataclasses.field(repr=False)
    notes: tuple[str, ...] = ()


def to_classify(
    path: str | os.PathLike[str],
    labels_path: str | os.PathLike[str] | None,
    part: str,
    class_names: Sequence[str],
    rules: Rules | None = None,
    *,
    report: scan.Report | None = None,
) -> Opened:
    """Opens images to classify, with labels if there are any; arguments as for `read_arrays`.

    Labels that the user gave must fit the images. Labels that were found in or beside the file are
    ignored with a note if they do not.

    Raises:
      DataError: A file is damaged or holds something else.

    Cost: one pass over all pixels, to find their range; none for uint8.
    """
    path, rules = os.fspath(path), rules or Rules()
    images, inside = npy_files.images_and_labels(path, part)
    labels = np.full(len(images), -1, np.int32)
    notes: tuple[str, ...] = ()
    found = labels_path or (find_labels(path) if inside is None else path)
    try:
        if labels_path is None and inside is not None:
            labels, _ = _named(path, inside, len(images), class_names)
        elif found:
            labels, _ = _read_labels(os.fspath(found), len(images), class_names)
    except DataError as error:
        if labels_path is not None:
            raise
        notes = (f"labels are not used: {error}",)
    arrays.check(path, images, rules)
    scale, bad = levels.Scale("uint8", rules.levels or levels.FULL["uint8"]), {}
    if rules.scale and rules.scale.kind == "uint8" and not rules.levels:
        scale = rules.scale
    if scale.white != levels.FULL["uint8"] or images.dtype != np.uint8:
        seen = _pass(path, images, report)
        scale, told = levels.find(
            path, seen.kind, seen.values, given=rules.levels, known=rules.scale
        )
        bad = seen.bad | levels.misfits(path, scale, seen.values)
        notes += told
    if inside is None and not found and images.shape[0] in (3, 4) and images.shape[3] == 1:
        count, height, width, _ = images.shape
        notes += (
            f"read as {count} grey pictures of {width}x{height}; one picture of {count} channels "
            f"is [1, {height}, {width}, {count}]",
        )

    def picture(index: int) -> np.ndarray:
        if index in bad:
            raise bad[index]
        return levels.to_bytes(images[index], scale)

    return Opened(picture, images.shape, labels, notes)


def _skipping(
    path: str, bad: Mapping[int, DataError], names: _Numbers, count: int, rules: Rules
) -> tuple[str, ...]:
    """Returns a note about bad images that are left out; raises the error where they may not be."""
    if not bad:
        return ()
    if rules.on_bad_file != "skip":
        raise bad[min(bad)]
    trouble = troubles.bad_pictures(
        path,
        {names[index]: "bad values" for index in bad},
        [str(error) for error in bad.values()],
        count,
        skip=True,
        max_fraction=rules.max_bad_fraction,
    )
    if trouble:
        raise DataError(trouble.message)
    return (f"skipped {len(bad)} bad of {count}, the first: {bad[min(bad)]}",)


def _without(
    path: str, examples: Examples, bad: Mapping[int, str], twice: np.ndarray, rules: Rules
) -> Examples:
    """Leaves out images that are bad, and those that lie in several classes.

    Raises:
      DataError: A class has none then.
    """
    why = dict.fromkeys(twice.tolist(), conflicts.REASON)
    why.update(bad)
    if not why:
        return examples
    left = subset(examples, np.setdiff1d(np.arange(len(examples)), list(why)))
    skipped = tuple((examples.names[index], why[index]) for index in sorted(why))
    left = dataclasses.replace(left, skipped=skipped)
    before, after = (
        labelling.counts(some.labels, len(some.class_names)) for some in (examples, left)
    )
    if rules.allow_empty_class or not (emptied := np.flatnonzero((before > 0) & (after == 0))).size:
        return left
    if rules.skip_empty_class:
        return without_empty_classes(left)
    raise DataError(
        f"empty classes in {shown(path)} - no picture is left of "
        f"{first_few([examples.class_names[label] for label in emptied])}; correct the "
        "pictures, or --skip_empty_class"
    )


class _Numbers:
    """The names of an array's images, made on demand."""

    def __init__(self, count: int):
        self._width = arrays.digits(count)

    def __getitem__(self, index: int) -> str:
        return f"{index:0{self._width}d}"


def find(folder: str | os.PathLike[str], part: str) -> str | None:
    """Finds the images of a part in a folder: `train_images.npy`, `train.npz` and the like."""
    names = {name.lower(): name for name in os.listdir(folder)}
    stems = [
        f"{p}{end}" for p in npy_files.PREFIXES[part] for end in ("_images", "-images", "", "_x")
    ]
    stems += [f"x_{p}" for p in npy_files.PREFIXES[part]]
    stems += ["images", "data"] if part == "train" else []
    for stem in stems:
        for suffix in SUFFIXES:
            if stem + suffix in names:
                return os.path.join(folder, names[stem + suffix])
    return None


def find_labels(path: str) -> str | None:
    """Finds the labels of a file of images: `X_images.npy` has `X_labels.csv` or `.npy`.

    As for images, case does not matter; an exact match takes precedence.
    """
    folder, stem = os.path.split(_stem(path))
    there = os.listdir(folder or os.curdir)
    in_lower_case = {name.lower(): name for name in there}
    for spelt, names in (
        (stem, dict(zip(there, there, strict=True))),
        (stem.lower(), in_lower_case),
    ):
        stems = [f"{spelt}_labels", f"{spelt}-labels"]
        for images, labels in (("images", "labels"), ("x_", "y_"), ("_x", "_y")):
            if images in spelt:
                stems.append(spelt.replace(images, labels))
        for name in (s + suffix for s in [*stems, spelt, "labels"] for suffix in (".csv", ".npy")):
            candidate = os.path.join(folder, names.get(name, ""))
            if candidate != path and os.path.isfile(candidate):
                return candidate
    return None


def _stem(path: str) -> str:
    return os.path.splitext(path)[0]


class _Seen(NamedTuple):
    """What one pass over an array has found."""

    kind: str
    values: levels.Range
    spreads: np.ndarray  # [N], as `flat.spread`
    digests: np.ndarray
    bad: dict[int, DataError]  # images with values that are not finite


def _pass(path: str, images: np.ndarray, report: scan.Report | None) -> _Seen:
    """Looks at all values once: their range, their spread, and the hash of every image."""
    lowest, highest, spreads = np.full([3, len(images)], np.nan)
    bad, digests = {}, np.zeros(len(images), DIGEST)
    for index in range(len(images)):
        image = np.asarray(images[index])
        low, high = float(image.min()), float(image.max())  # NaN if one value is
        why = ""
        if not (math.isfinite(low) and math.isfinite(high)):
            why = f"image {index} has NaN or infinite values"
        elif low < -levels.TOLERANCE * max(1, high):
            why = f"image {index} has values in [{low:g}, {high:g}]"
        if why:
            bad[index] = npy_files.bad(path, why, npy_files.FORMS)
        else:
            lowest[index], highest[index] = low, high
            spreads[index] = flatness.spread(image)
        digests[index] = decode.digest_of(image.tobytes())
        if report and (index + 1) % 4096 == 0:
            report(index + 1, len(images))
    kind = levels.kind_of(images.dtype)
    return _Seen(kind, levels.Range(lowest, highest), spreads, digests, bad)


def _where(labels: np.ndarray, label: int) -> str:
    """Says where the first image of a class is."""
    found = np.flatnonzero(labels == label)
    return f" (image {found[0]})" if len(found) else ""


def _read_labels(
    path: str, count: int, class_names: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    if path.endswith(".csv"):
        return table.read_labels(path, count, class_names)
    return _named(path, np.asarray(npy_files.mapped(path)), count, class_names)


def _is_text(words: np.ndarray) -> bool:
    """Whether words are made of letters that Unicode has; Python itself fails on others."""
    letters = np.ascontiguousarray(words).view(words.dtype.byteorder + "u4")
    return bool(letters.max(initial=0) <= sys.maxunicode)


def _named(
    path: str, labels: np.ndarray, count: int, class_names: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Returns labels and classes from an array of numbers or words."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.dtype.kind == "S" and labels.ndim == 1:  # words, as HDF5 and pandas keep them
        labels = np.char.decode(labels, "utf-8", "surrogateescape")
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        remedy = "labels are [N] integers or words"
        if labels.ndim == 2:
            remedy += "; of one-hot rows take labels.argmax(1)"
        elif labels.ndim == 1 and labels.dtype.kind in "bf":
            remedy += "; save labels.astype(int)"
        raise DataError(
            f"bad labels in {shown(path)} - got {labels.dtype} {list(labels.shape)}; {remedy}"
        )
    if labels.dtype.kind == "U" and not _is_text(labels):
        raise DataError(
            f"bad labels in {shown(path)} - damaged: it holds letters that Unicode has not; fetch "
            "it again"
        )
    if len(labels) != count:
        raise DataError(
            f"bad labels in {shown(path)} - {len(labels)} labels for {count} images; "
            "take both from one data set"
        )
    if labels.dtype.kind == "i" and labels.min() < 0:
        row = int(np.flatnonzero(labels < 0)[0])
        raise DataError(
            f"bad labels in {shown(path)} - label {labels[row]} of image {row} is negative; "
            "correct it"
        )
    values, numbers = np.unique(labels, return_inverse=True)
    names = [str(value) for value in values]
    if class_names is None:
        names, numbers = _merged(names, numbers)
        if len(names) < 2:
            raise DataError(
                f"no classes in {shown(path)} - one class only, {names[0]}; two are needed at least"
            )
        return numbers.astype(np.int32), tuple(names)
    find = spelling.finder(class_names)
    for value, name in enumerate(names):
        if find(name) < 0:
            row = int(np.flatnonzero(numbers == value)[0])
            near = spelling.hint(name, class_names)
            raise DataError(
                f"bad labels in {shown(path)} - label {shown(repr(name))} of image {row} is "
                f"not one of the {len(class_names)} classes{near}; leave the picture out, or "
                "train a model on it"
            )
    return np.array([find(name) for name in names], np.int32)[numbers], tuple(class_names)


def _merged(names: list[str], numbers: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Makes one class of names that are equal in Unicode, which keeps the spelling of the first."""
    place: dict[str, int] = {}
    new = np.array([place.setdefault(spelling.form(name), len(place)) for name in names])
    kept = [names[int(np.flatnonzero(new == label)[0])] for label in range(len(place))]
    return kept, new[numbers]
