"""Class folders: each folder below the root is a class; all images in it belong to that class."""

from __future__ import annotations

import collections
import itertools
import os
from collections.abc import Sequence

import numpy as np

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.files import links, spelling
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules
from hw2.input.scanning import scan
from hw2.input.scanning.listing import Listing
from hw2.input.sources import layout
from hw2.input.sources.layout import PICTURES

Counts = collections.Counter[str]
ICLOUD = "placeholders of iCloud, whose pictures are not downloaded"


def read_folder(
    root: str | os.PathLike[str],
    rules: Rules | None = None,
    *,
    class_names: Sequence[str] | None = None,
    report: scan.Report | None = None,
) -> Examples:
    """Finds the images below `root`, and scans them.

    Args:
      root: The folder of the class folders.
      rules: What is accepted.
      class_names: The classes, if they are known; some of them may have no folder.
      report: As for `scan.survey`.

    Raises:
      DataError: As `listing` and `scan.examples`.
    """
    rules = scan.lenient(rules or Rules(), class_names)
    return scan.examples(listing(root, rules, class_names), rules, report=report)


def listing(
    root: str | os.PathLike[str], rules: Rules, class_names: Sequence[str] | None = None
) -> Listing:
    """Finds the images below `root` by their suffixes; files of unknown suffix by their content.

    Classes are the first-level folders in the order of their names. Hidden files, files of macOS
    and Windows, and folders that hw2 wrote are skipped; other kinds of files are counted in the
    notes. Links within the root are followed, and nothing is listed twice.

    Args:
      root: The folder of the class folders.
      rules: What is accepted.
      class_names: The classes, if they are known; then one folder is enough.

    Raises:
      DataError: There are fewer than two classes, two class names look the same, or the folders
        are no classes.

    Cost: about 3 microseconds for each image.
    """
    root = os.fspath(root)
    found = layout.read(root, class_names, allow_same_folders=rules.allow_same_folders)
    if found.parts:
        raise DataError(
            f"no classes in {shown(root)} - it holds parts of a data set, "
            f"{', '.join(found.parts)}; give the folder of one part"
        )
    _check_twins(root, found.classes)
    walk = _Walk(root, rules)
    files = walk.files(found.classes)
    files, refused = _followed(root, files, walk, rules)
    beside = sum(not os.path.isdir(e.path) and _is_picture(e) for e in layout.entries(root))
    ignored = sum(walk.ignored.values(), Counts())
    ignored += Counts({"outside the class folders": beside} if beside else {})
    return Listing(
        root,
        tuple(itertools.chain.from_iterable(files)),
        np.repeat(np.arange(len(files), dtype=np.int32), [len(names) for names in files]),
        found.classes,
        source=root,
        refused=refused,
        blocked=walk.blocked,
        left={label: "; ".join(_ignored(counts)) for label, counts in walk.ignored.items()},
        notes=(*found.notes, *spelling.notes(found.classes), *_ignored(ignored)),
    )


def at_any_depth(root: str | os.PathLike[str], class_names: Sequence[str], rules: Rules) -> Listing:
    """Finds the images to classify below `root`, in class folders or not, in order of names.

    The label of an image is the first folder of its path, if that is one of `class_names`.
    Otherwise this is like `listing`.

    Raises:
      DataError: There are no images, or a folder is a link out of the root.
    """
    root = os.fspath(root)
    walk = _Walk(root, rules)
    [names], refused = _followed(root, walk.files([""]), walk, rules)
    for message in walk.blocked.values():
        raise DataError(message)
    ignored = sum(walk.ignored.values(), Counts())
    if not names:
        what = f", {'; '.join(_ignored(ignored))}" if ignored else ""
        raise DataError(
            f"no pictures in {shown(root)} - no file below it is called .jpg, .png, .gif, .bmp or "
            f".webp{what}; give another folder"
        )
    find = spelling.finder(class_names)
    labels = [find(name.split("/", 1)[0]) if "/" in name else -1 for name in names]
    return Listing(
        root,
        names,
        np.array(labels, np.int32),
        tuple(class_names),
        source=root,
        refused=refused,
        notes=tuple(_ignored(ignored)),
    )


class _Walk:
    """Lists the files below a root.

    Attributes:
      linked: The names of images that are links.
      ignored: By the number of a class, what else is in its folder.
      blocked: The message about each folder that cannot be listed, by its name.
    """

    def __init__(self, root: str, rules: Rules):
        self.root, self.rules = root, rules
        self.linked: set[str] = set()
        self.ignored: dict[int, Counts] = {}
        self.blocked: dict[str, str] = {}

    def files(self, class_names: Sequence[str]) -> list[list[str]]:
        """Lists the names of each class's images in order; real folders before linked ones."""
        files: list[list[str]] = [[] for _ in class_names]
        seen: set[tuple[int, int | str]] = set()
        real = collections.deque(enumerate(class_names))
        later: collections.deque[tuple[int, str]] = collections.deque()
        while real or later:
            label, folder = (real or later).popleft()
            path = os.path.join(self.root, folder)
            status = layout.status(path)
            ignored = self.ignored.setdefault(label, Counts())
            # A disk without inode numbers gives 0 to every folder.
            identity = (status.st_dev, status.st_ino or os.path.realpath(path))
            if identity in seen:
                ignored["links to folders read already"] += 1
                continue
            seen.add(identity)
            for entry in self._listed(folder, path, ignored):
                name = f"{folder}/{entry.name}" if folder else entry.name
                is_link = entry.is_symlink()
                if os.path.isdir(entry.path) if is_link else entry.is_dir():
                    if layout.suffix(entry.name) in PICTURES:
                        ignored["folders named like pictures"] += 1
                    else:
                        (later if is_link else real).append((label, name))
                elif layout.is_picture(entry):
                    files[label].append(name)
                    if is_link:
                        self.linked.add(name)
                else:
                    ignored[layout.suffix(entry.name) or "without suffix"] += 1
        for names in files:
            names.sort()
        return files

    def _listed(self, folder: str, path: str, ignored: Counts) -> list[os.DirEntry[str]]:
        """Lists a folder without what is hidden; nothing if it may not be read, or is our own."""
        follow = self.rules.allow_outside_links or not os.path.islink(path)
        if not follow and links.leads_out(self.root, path):
            self.blocked[folder] = (
                f"link out of the root in {shown(path)} - it leads to "
                f"{shown(os.path.realpath(path))}; {links.REMEDY}"
            )
            return []
        try:
            found = layout.entries(path)
        except DataError as error:
            self.blocked[folder] = str(error)
            return []
        if what := layout.ours(entry.name for entry in found):
            ignored[f"{what.removeprefix('a ')} of hw2"] += 1
            return []
        kept = [entry for entry in found if not layout.is_junk(entry.name)]
        if len(kept) < len(found):
            hidden = [entry.name for entry in found if entry.name.endswith(".icloud")]
            count = sum(layout.suffix(name.removesuffix(".icloud")) in PICTURES for name in hidden)
            if count:
                ignored[ICLOUD] += count
        return kept


def _followed(
    root: str,
    files: list[list[str]],
    walk: _Walk,
    rules: Rules,
) -> tuple[list[list[str]], dict[int, str]]:
    """Leaves out links to images that are listed anyway, and refuses links out of the root.

    Returns:
      The names of each class's images, and the reasons to refuse some of them, by their index
      among all images.
    """
    linked = walk.linked
    if not linked:
        return files, {}
    base = os.path.join(os.path.realpath(root), "")
    seen = {base + name for names in files for name in names if name not in linked}
    kept: list[list[str]] = [[] for _ in files]
    count, refused = 0, {}
    for label, names in enumerate(files):
        for name in names:
            path = os.path.join(root, name)
            if name in linked and os.path.exists(path):  # a dangling one leads nowhere
                target = os.path.realpath(path)
                if target in seen:
                    walk.ignored[label]["links to pictures read already"] += 1
                    continue
                seen.add(target)
                if links.leads_out(root, path) and not rules.allow_outside_links:
                    refused[count] = links.reason(path)
            kept[label].append(name)
            count += 1
    return kept, refused


def _is_picture(entry: os.DirEntry[str]) -> bool:
    return not layout.is_junk(entry.name) and layout.suffix(entry.name) in PICTURES


def _check_twins(root: str, class_names: Sequence[str]) -> None:
    """Refuses class names that are equal in Unicode."""
    forms = collections.Counter(map(spelling.form, class_names))
    for name in class_names:
        if forms[spelling.form(name)] > 1:
            raise DataError(
                f"twin classes in {shown(root)} - two folders are called "
                f"{shown(spelling.form(name))}, one spelt with combining characters (NFC and "
                "NFD); merge them"
            )


def _ignored(counts: Counts) -> list[str]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{count} {shown(kind)}" for kind, count in ordered)
    return [f"ignored {kinds}"] if kinds else []
