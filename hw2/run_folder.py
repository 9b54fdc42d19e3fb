"""The folder of one run: what it was trained on, and whether it may go on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hw2.errors import RunError
from hw2.training import checkpoints
from hw2.training.checkpoints import Checkpoint

FLAGS, CLASSES, SPLIT = "flags.cfg", "class_names.txt", "split.csv"


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths of a run's files."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    @property
    def split(self) -> Path:
        """Which picture trains and which validates."""
        return self.path / SPLIT


def begin(path: Path, flags: str, class_names: Sequence[str]) -> RunFolder:
    """Opens a run folder for training, and describes the run in it if it is new.

    Args:
      path: Of the folder; made when missing.
      flags: A flagfile that runs it again.
      class_names: In the order of the logits.

    Raises:
      RunError: The folder holds something that is not a run, or cannot be written.
    """
    folder = RunFolder(path)
    if (path / FLAGS).exists():
        return folder
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise RunError(
                f"no run in {path} - the folder is not empty and has no {FLAGS}; "
                "give --log_path a new folder, nothing was changed in this one"
            )
    except OSError as error:
        raise _unwritable(path, error) from error
    describe(folder, flags, class_names)
    return folder


def describe(folder: RunFolder, flags: str, class_names: Sequence[str]) -> None:
    """Writes the run's flagfile and class names.

    Raises:
      RunError: The folder cannot be written.
    """
    names = "".join(f"{name}\n" for name in class_names)
    try:
        (folder.path / CLASSES).write_text(names, "utf-8", "surrogateescape")
        (folder.path / FLAGS).write_text(flags, "utf-8", "surrogateescape")
    except OSError as error:
        raise _unwritable(folder.path, error) from error


def find(path: Path) -> RunFolder:
    """Opens the folder of a run that exists.

    Raises:
      RunError: There is no run.
    """
    folder = RunFolder(path)
    if not folder.checkpoints.is_dir():
        raise RunError(
            f"no checkpoints in {path} - {folder.checkpoints.name}/ is missing; "
            "give --checkpoint_dir the run folder of train.py (its --log_path)"
        )
    return folder


def resume(folder: RunFolder, identity: Mapping[str, Any]) -> Checkpoint | None:
    """Finds where to go on from, if this is the same training.

    Args:
      folder: Of the run.
      identity: What must not change within a run, as in the checkpoint's state.

    Returns:
      The newest good checkpoint, or None to begin.

    Raises:
      RunError: No checkpoint is good, or something that must not change has changed.
    """
    found = checkpoints.newest(folder.checkpoints, set_aside=True)
    if found is None:
        return None
    before = found.state["identity"]
    changed = [name for name in identity if before.get(name) != identity[name]]
    if changed:
        words = "; ".join(f"{n} was {before.get(n)!r}, is {identity[n]!r}" for n in changed)
        raise RunError(
            f"another training in {folder.path} - {words}; "
            "give --log_path a new folder, or the flags this run began with"
        )
    return found


def choose(folder: RunFolder, which: str) -> Checkpoint:
    """Finds the "best" checkpoint of a run, or the "last".

    Raises:
      RunError: There is none, or it is damaged.
    """
    last = checkpoints.newest(folder.checkpoints)
    if last is None:
        raise RunError(
            f"no checkpoint in {folder.checkpoints} - training has not saved one yet; "
            "wait for it, or lower --save_checkpoint_steps"
        )
    best_step = last.state["plateau"]["best_step"]
    if which == "last" or best_step in (-1, last.step):
        return last
    return checkpoints.at(folder.checkpoints, best_step)


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(f"cannot write in {path} - {error.strerror}; give --log_path another folder")
