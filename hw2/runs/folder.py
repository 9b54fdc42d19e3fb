"""The folder of one run: its files, and how it is opened, found and emptied."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from hw2.errors import RunError, writing
from hw2.runs import atomic

FLAGS, CLASSES, CALIBRATION = "flags.cfg", "class_names.txt", "calibration.json"
DISTANCE = "distance.npz"
MADE = (
    "checkpoints",
    "metrics.csv",
    "split.csv",
    "tensorboard",
    "tracker.json",
    CALIBRATION,
    DISTANCE,
)  # by training, step by step


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths of a run's files."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.path / "checkpoints"

    @property
    def split(self) -> Path:
        """The file that says which images train and which validate."""
        return self.path / "split.csv"


def begin(path: Path, flags: str, class_names: Sequence[str]) -> RunFolder:
    """Opens a run folder for training; a new one is created, with a description of the run.

    Args:
      path: The folder; created if it is missing.
      flags: A flagfile that runs it again.
      class_names: The classes, in the order of the logits.

    Raises:
      RunError: The folder holds something that is not a run, or cannot be written.
    """
    folder = RunFolder(path)
    if (path / FLAGS).exists():
        return folder
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        if any(not atomic.is_left_over(inside.name) for inside in path.iterdir()):
            raise RunError(
                f"no run in {path} - the folder is not empty and has no {FLAGS}; "
                "give --log_path a new folder, nothing was changed in this one"
            )
    describe(folder, flags, class_names)
    return folder


def describe(folder: RunFolder, flags: str, class_names: Sequence[str]) -> None:
    """Writes the run's flagfile and class names.

    Raises:
      RunError: The folder cannot be written.
    """
    _write(folder.path / FLAGS, flags)
    _write(folder.path / CLASSES, "".join(f"{_on_one_line(name)}\n" for name in class_names))


def replace_line(folder: RunFolder, start: str, line: str) -> None:
    """Replaces the line of the run's flagfile that begins so, unless it is the same.

    Raises:
      RunError: The folder cannot be read or written.
    """
    path = folder.path / FLAGS
    with writing(path):
        before = path.read_text("utf-8", "surrogateescape").splitlines()
    after = [line if old.startswith(start) else old for old in before]
    if after != before:
        _write(path, "\n".join(after) + "\n")


def find(path: Path, flag: str = "checkpoint_dir") -> RunFolder:
    """Opens the folder of an existing run.

    Args:
      path: The folder.
      flag: The flag that named it, for the error message.

    Raises:
      RunError: There is no run.
    """
    if not (path / FLAGS).exists():
        raise RunError(
            f"no run in {path} - it has no {FLAGS}; "
            f"give --{flag} the run folder of a training (its --log_path)"
        )
    return RunFolder(path)


def keep_split(folder: RunFolder, step: int) -> Path:
    """Keeps a copy of the split that was used until a step, before a new one replaces it.

    Raises:
      RunError: The folder cannot be written.
    """
    path = folder.path / f"split-until-{step:08d}.csv"
    if not path.exists():  # else the run was stopped before its first checkpoint with new data
        with writing(path):
            atomic.write(path, folder.split.read_bytes())
    return path


def kept_splits(folder: RunFolder) -> list[int]:
    """Lists the steps until which the run used a split that is no longer its present one."""
    paths = folder.path.glob("split-until-*.csv")
    steps = (path.stem.rpartition("-")[2] for path in paths)
    return sorted(int(step) for step in steps if step.isdecimal())


def put_aside(folder: RunFolder) -> Path | None:
    """Moves what a run has produced into a subfolder, so that it can start afresh.

    Returns:
      The subfolder; None if there was nothing to move.

    Raises:
      RunError: The folder cannot be written.
    """
    made = [folder.path / name for name in MADE if (folder.path / name).exists()]
    made += folder.path.glob("split-until-*.csv")
    if not made:
        return None
    count = 1
    while (aside := folder.path / f"before-fresh-{count}").exists():
        count += 1
    with writing(folder.path):
        aside.mkdir()
        for path in made:
            path.rename(aside / path.name)
    return aside


def _write(path: Path, text: str) -> None:
    with writing(path):
        atomic.write(path, text.encode("utf-8", "surrogateescape"))


def _on_one_line(name: str) -> str:
    """Escapes line breaks, which the name of a folder may contain."""
    lines = name.splitlines(keepends=True)
    if lines == name.splitlines():
        return name
    return "".join(c if c == " " or not c.isspace() else repr(c)[1:-1] for c in name)
