"""What the folders below a root are: classes, parts of a data set, or folders that hw2 wrote.

Training, evaluation and the scan all ask here, so that they agree.
"""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import re
from collections.abc import Iterable, Sequence

from hw2.errors import DataError
from hw2.input.files import formats, spelling
from hw2.input.files.names import first_few, shown

FORM = "the layout is ROOT/CLASS/.../PICTURE.jpg, with two classes at least"
JUNK = {  # what systems keep beside the files of users, in lower case
    *("__macosx", "icon\r", "network trash folder", "temporary items"),  # macOS
    *("thumbs.db", "ehthumbs.db", "desktop.ini"),  # Windows
    *("$recycle.bin", "system volume information"),  # the root of a disk of Windows
    "lost+found",  # the root of a disk of Linux
    *("@eadir", "#recycle", "#snapshot", "@recycle"),  # network disks, with their thumbnails
    "__pycache__",
}
PICTURES = {*itertools.chain(*formats.SUFFIXES.values()), *formats.OTHER_SUFFIXES}
PARTS = {  # words for the parts of a data set, in names of files and folders
    "train": ("train", "training", "trn"),
    "validation": ("val", "valid", "validation", "validate", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout", "heldout"),
}
_OTHER_WORDS = {"训练": "train", "训练集": "train", "验证": "validation", "验证集": "validation"}
_OTHER_WORDS |= {"测试": "test", "测试集": "test"}
_BESIDE = "(?:data|dataset|set|split|part|images?|imgs?|img|pictures?|photos?|folder|dir)"
_PART = {
    part: re.compile(f"{_BESIDE}*(?:{'|'.join(words)}){_BESIDE}*") for part, words in PARTS.items()
}
_NUMBERED = re.compile(r"[^\W\d].*\d$")  # such as batch1: pieces of a class, and no classes
LOOKED_AT = 10_000  # entries to look at in a folder that may hold no picture


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a folder holds.

    Attributes:
      parts: The path of each part, "train", "validation" and "test"; none if it holds classes.
      classes: The names of the class folders, in order; none if it holds parts.
      notes: Sentences about folders that are left out.
    """

    parts: dict[str, str]
    classes: tuple[str, ...]
    notes: tuple[str, ...]


def read(
    root: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    *,
    allow_same_folders: bool = False,
) -> Layout:
    """Judges the folders below a root.

    Args:
      root: The folder.
      class_names: The classes, if they are known; then one of them is enough, and a folder that
        bears the name of one is that class.
      allow_same_folders: Whether all classes may hold folders of the same names.

    Raises:
      DataError: It holds neither classes nor parts, or it cannot be told which of the two.
    """
    root = os.fspath(root)
    if not os.path.isdir(root):
        why = "not a folder" if os.path.exists(root) else "no such folder"
        raise DataError(f"no pictures in {shown(root)} - {why}; {FORM}")
    names, notes = _folders(root)
    parts, notes_of_parts = _parts(root, names, class_names)
    if parts:
        return Layout(parts, (), (*notes, *notes_of_parts))
    if len(names) < (2 if class_names is None else 1):
        found = f"one class folder only, {shown(names[0])}" if names else "no class folders"
        raise DataError(f"no classes in {shown(root)} - {found}; {FORM}")
    find = spelling.finder(class_names or ())
    if not allow_same_folders and any(find(name) < 0 for name in names):
        _check_level(root, names)
    return Layout({}, tuple(names), notes)


def parts(root: str | os.PathLike[str]) -> dict[str, str]:
    """Finds the parts that a folder holds, and their paths; none if it holds something else."""
    try:
        return _parts(os.fspath(root), _folders(os.fspath(root))[0], None)[0]
    except DataError:
        return {}


def is_flat(folder: str) -> bool:
    """Whether a folder holds pictures, and no class folders."""
    names, _ = _folders(folder) if os.path.isdir(folder) else ([], ())
    return not names and _holds_picture(folder, deep=False)


def part_of(name: str) -> str | None:
    """Returns the part of a data set that the name of a folder means, such as `training_set`."""
    name = spelling.form(name).casefold()
    if name in _OTHER_WORDS:
        return _OTHER_WORDS[name]
    letters = re.sub(r"[\W\d_]", "", name)
    return next((part for part, words in _PART.items() if words.fullmatch(letters)), None)


def ours(names: Iterable[str]) -> str | None:
    """Tells from the names of its files what a folder is if hw2 wrote it, else returns None."""
    there = set(names)
    if "flags.cfg" in there and there & {"class_names.txt", "checkpoints", "split.csv"}:
        return "a run folder"
    if "index.npz" in there and any(".tfrecord" in name for name in there):
        return "shards"
    if there and all(name.startswith("decoded-") for name in there):
        return "a cache of decoded pictures"
    if there and all(name.endswith((".pixels", ".index")) for name in there):
        return "a cache of decoded pictures"
    return None


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system leaves behind."""
    return name.startswith(".") or name.casefold() in JUNK


def entries(folder: str) -> list[os.DirEntry[str]]:
    """Lists a folder.

    Raises:
      DataError: It may not be read.
    """
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise DataError(f"no pictures in {shown(folder)} - {why}; make it readable") from error


def status(folder: str) -> os.stat_result:
    """Returns the status of a folder.

    Raises:
      DataError: There is none, as where the path has more than 4096 bytes.
    """
    try:
        return os.stat(folder)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if error.errno == errno.ENAMETOOLONG:
            place, remedy = f"{shown(folder)[:80]}...", "move it up, or shorten its name"
        else:
            place, remedy = shown(folder), "make it readable"
        raise DataError(f"no pictures in {place} - {why}; {remedy}") from error


def suffix(name: str) -> str:
    """Returns the suffix of a bare file name in lower case, as `os.path.splitext` splits it."""
    stem, _, end = name.rpartition(".")
    return f".{end.lower()}" if stem.strip(".") else ""


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether a file is a picture, by its suffix, or by its content if the suffix is unknown."""
    end = suffix(entry.name)
    if end in PICTURES:
        return True
    return end not in formats.TEXTS and os.path.isfile(entry) and formats.is_picture(entry.path)


def _folders(root: str) -> tuple[list[str], tuple[str, ...]]:
    """Returns the names of the folders below a root, but for those that hw2 wrote, and notes."""
    kept, notes = [], []
    found = [e for e in entries(root) if not is_junk(e.name) and os.path.isdir(e.path)]
    for entry in sorted(found, key=lambda e: (spelling.form(e.name), e.name)):
        if what := _written_by_us(entry.path):
            notes.append(f"{shown(entry.name)} is left out: {what} of hw2")
        else:
            kept.append(entry.name)
    return kept, tuple(notes)


def _written_by_us(folder: str) -> str | None:
    """Tells what a folder is if hw2 wrote it, or all that is in it; else returns None."""
    try:
        inside = [entry for entry in os.scandir(folder) if not is_junk(entry.name)]
    except OSError:
        return None  # reading it will give the reason
    if what := ours(entry.name for entry in inside):
        return what
    if not inside or len(inside) > LOOKED_AT or not all(map(os.path.isdir, inside)):
        return None
    kinds = {_listed_as_ours(entry.path) for entry in inside}
    return None if None in kinds else f"it holds {first_few(sorted(map(str, kinds)))}"


def _listed_as_ours(folder: str) -> str | None:
    try:
        return ours(os.listdir(folder))
    except OSError:
        return None


def _parts(
    root: str, names: Sequence[str], class_names: Sequence[str] | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Returns the path of each part and notes, or nothing if the folders are classes."""
    find = spelling.finder(class_names or ())
    found: dict[str, list[str]] = {}
    others = []
    for name in names:
        part = part_of(name) if find(name) < 0 else None
        if part:
            found.setdefault(part, []).append(name)
        else:
            others.append(name)

    def holds_picture(name: str, *, deep: bool = True) -> bool:
        return _holds_picture(os.path.join(root, name), deep=deep)

    listed = first_few([name for some in found.values() for name in some])
    if not found or (len(found) == 1 and any(map(holds_picture, others))):
        return {}, ()  # a class may be called "train", or "test"
    if list(found) == ["train"] and holds_picture(found["train"][0], deep=False):
        return {}, ()
    if "train" not in found:
        if len(found) == 1 and len(names) == 1:
            return {}, ()  # one class folder only
        raise DataError(
            f"no classes in {shown(root)} - {listed} are parts of a data set, and none "
            "is called train; give the folder of one part"
        )
    flags = " ".join(
        f"--{flag}_data_path={shown(os.path.join(root, found[part][0]))}"
        for flag, part in (("train", "train"), ("test", "test"))
        if part in found
    )
    for part, several in found.items():
        if len(several) > 1:
            raise DataError(
                f"parts without order in {shown(root)} - {first_few(several)} all look like the "
                f"{part} part; say which is meant by {flags}, or leave one of each here"
            )
    holding = [name for name in others if holds_picture(name)]
    if holding:
        raise DataError(
            f"parts among classes in {shown(root)} - {listed} look like parts of a data set, but "
            f"{first_few(holding)} holds pictures too; if they are parts, give {flags}, or move "
            f"{first_few(holding)} out of {shown(root)}; if they are classes, rename them"
        )
    notes = [f"{first_few(others)} left out, without pictures"] if others else []
    return {part: os.path.join(root, name) for part, [name] in found.items()}, tuple(notes)


def _check_level(root: str, names: Sequence[str]) -> None:
    """Refuses a root whose folders all hold folders of the same names: those may be the classes."""
    common: dict[str, str] | None = None
    for name in names:
        try:
            inside = list(os.scandir(os.path.join(root, name)))
        except OSError:
            return  # reading it will give the reason
        if any(is_picture(entry) and not os.path.isdir(entry) for entry in inside):
            return
        folders = {
            spelling.likeness(entry.name): entry.name
            for entry in inside
            if not is_junk(entry.name) and os.path.isdir(entry) and not _NUMBERED.search(entry.name)
        }
        common = {k: v for k, v in (common or folders).items() if k in folders}
        if len(common) < 2:
            return
    if not common or not all(_holds_picture(os.path.join(root, name)) for name in names):
        return
    inner = sorted(common.values())
    path = shown(os.path.join(root, names[0]))
    if all(map(part_of, inner)):
        remedy = "put the parts first, as train/CLASS"
    else:
        remedy = f"if those are the classes, give --train_data_path={path}, or join the folders"
    raise DataError(
        f"the same folders in every class of {shown(root)} - {first_few(list(names))} all hold "
        f"{first_few(inner)}; {remedy}; if {first_few(list(names))} are the classes, give "
        "--allow_same_folders"
    )


def _holds_picture(folder: str, *, deep: bool = True) -> bool:
    """Whether there is a picture in a folder or below it, among the first so many entries."""
    looked, waiting = 0, [folder]
    while waiting:
        try:
            found = list(os.scandir(waiting.pop()))
        except OSError:
            return True  # nobody knows
        if ours(entry.name for entry in found):
            continue
        looked += len(found)
        for entry in found:
            if is_junk(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting += [entry.path] if deep else []
            elif is_picture(entry):
                return True
        if looked > LOOKED_AT:
            return True
    return False
