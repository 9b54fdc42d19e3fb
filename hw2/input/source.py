"""Reads a data set from a path or a name, whatever its kind."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence

from hw2.errors import DataError
from hw2.input.examples import Examples, joined, without_empty_classes
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import scan
from hw2.input.scanning.troubles import Troubles
from hw2.input.sources import arrays, builtin, folder, idx, layout, mistaken, npy, shards, table
from hw2.input.sources.layout import Layout

PARTS = ("train", "validation", "test")
FORMS = (
    f"give one of {', '.join(builtin.NAMES)}, a folder of class folders, a folder with train/ "
    "and val/ or test/ in it, a .csv of file and class, an .npy or .npz of images with labels "
    f"beside it, a folder with {idx.FILES['train'][0]} and the other files of MNIST's format, or "
    "TFRecord shards"
)


def read(
    path: str | os.PathLike[str],
    part: str = "train",
    rules: Rules | None = None,
    *,
    class_names: Sequence[str] | None = None,
    report: scan.Report | None = None,
) -> Examples:
    """Reads a data set; its kind is recognized from the path.

    Args:
      path: The name of a built-in data set, which takes precedence over a folder of that name
        (write `./digits` for the folder); a folder; a file; or a file of images and a file of
        labels, separated by a comma.
      part: "train", "validation" or "test". A source with a single part is read whatever this
        says. A source with a test part or a validation part only uses it for both. The training
        part of a folder with a validation part includes it; `Examples.validation` tells them
        apart.
      rules: What is accepted.
      class_names: The classes, if they are known. A label that is not among them is an error,
        which names its line.
      report: Called from time to time with the number of files scanned, and of all.

    Raises:
      DataError: The path is none of these, or the data cannot be used.
      ValueError: There is no such part.
    """
    if part not in PARTS:
        raise ValueError(f"part must be {', '.join(PARTS[:-1])} or {PARTS[-1]}, got {part!r}.")
    rules = rules or Rules()
    if path in builtin.NAMES:
        return builtin.load(os.fspath(path), "test" if part != "train" else part)
    path = os.fspath(path)
    if os.path.isdir(path):
        return _folder(path, part, rules, class_names, report)
    images, comma, labels = path.rpartition(",")
    if comma and images.endswith(npy.SUFFIXES) and not os.path.lexists(path):
        for file in (images, labels):
            if not os.path.isfile(file):
                raise DataError(f"no data in {shown(file)} - no such file; {FORMS}")
        return npy.read_arrays(images, labels, part, rules, class_names=class_names, report=report)
    if not os.path.isfile(path):
        raise mistaken.error(path, FORMS)
    if path.endswith(npy.SUFFIXES):
        return npy.read_arrays(path, None, part, rules, class_names=class_names, report=report)
    if path.endswith(".csv") and table.is_list(path):
        return table.read_list(path, rules, class_names=class_names, report=report)
    if shards.find(path, part):
        return _shards(path, part, rules, class_names, report)
    raise mistaken.error(path, FORMS)


def _folder(
    path: str,
    part: str,
    rules: Rules,
    class_names: Sequence[str] | None,
    report: scan.Report | None,
) -> Examples:
    if idx.is_in(path):
        return arrays.read_idx(path, "test" if part != "train" else part, rules=rules)
    if (found := npy.find(path, "train")) or npy.find(path, "test"):
        wanted = npy.find(path, part) or (part != "train" and npy.find(path, "validation"))
        wanted = wanted or (part != "train" and npy.find(path, "test"))
        if not wanted and found and found.endswith(".npz"):
            wanted = found
        if not wanted:
            raise DataError(f"no {part} images in {shown(path)} - neither .npy nor .npz; {FORMS}")
        return npy.read_arrays(wanted, None, part, rules, class_names=class_names, report=report)
    if shards.find(path, part):
        examples = _shards(path, part, rules, class_names, report)
        if part == "train" and shards.reader().has_part(path, "validation"):
            known = examples.class_names
            return joined(examples, _shards(path, "validation", rules, known, report))
        return examples
    folders = layout.read(path, class_names, allow_same_folders=rules.allow_same_folders)
    if folders.parts:
        return _parts(path, folders, part, rules, class_names, report)
    return folder.read_folder(path, rules, class_names=class_names, report=report)


def _shards(
    path: str,
    part: str,
    rules: Rules,
    class_names: Sequence[str] | None,
    report: scan.Report | None,
) -> Examples:
    found = shards.find(path, part)
    return shards.reader().read_shards(found, rules, class_names=class_names, report=report)


def _parts(
    root: str,
    found: Layout,
    part: str,
    rules: Rules,
    class_names: Sequence[str] | None,
    report: scan.Report | None,
) -> Examples:
    """Reads a part of a folder that holds train/, and val/ or test/ or both."""
    parts = found.parts
    if part != "train":
        other = {"validation": "test", "test": "validation"}[part]
        path = parts.get(part) or parts.get(other)
        if path is None:
            raise DataError(f"no {part} part in {shown(root)} - it holds train/ only; add test/")
        return read(path, part, rules, class_names=class_names, report=report)
    # A class that is empty in one part may have pictures in the other.
    each = rules
    if rules.skip_empty_class:
        each = dataclasses.replace(rules, skip_empty_class=False, allow_empty_class=True)
    troubles: list[Troubles] = []
    examples = _tried(troubles, parts["train"], "train", each, class_names, report)
    if "validation" in parts:
        each = dataclasses.replace(each, scale=examples.scale)
        known = examples.class_names
        validation = _tried(troubles, parts["validation"], "validation", each, known, report)
        examples = joined(examples, validation)
    if rules.skip_empty_class:
        examples = without_empty_classes(examples)
    notes = [*examples.notes, *found.notes]
    if "test" in parts:
        use = f"--test_data_path={shown(root)} scores it"
        if layout.is_flat(parts["test"]):
            use = "it has no class folders; predict.py classifies it"
        notes.append(f"{shown(parts['test'])} is not used; {use}")
    if troubles:
        kinds = [kind for trouble in troubles for kind in trouble.found]
        left = examples if all(trouble.examples for trouble in troubles) else None
        raise Troubles(root, kinds, notes, left)
    return dataclasses.replace(examples, notes=tuple(notes))


def _tried(
    troubles: list[Troubles],
    path: str,
    part: str,
    rules: Rules,
    class_names: Sequence[str] | None,
    report: scan.Report | None,
) -> Examples:
    """Reads a part; if it is in trouble, keeps the trouble, and returns what is left."""
    try:
        return read(path, part, rules, class_names=class_names, report=report)
    except Troubles as trouble:
        if trouble.examples is None:
            raise
        troubles.append(trouble)
        return trouble.examples
