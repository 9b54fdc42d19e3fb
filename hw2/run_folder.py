"""The folder of one run: what it was trained on, and whether it may go on."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hw2.errors import RunError, writing
from hw2.training import checkpoints, progress
from hw2.training.checkpoints import Checkpoint

FLAGS, CLASSES = "flags.cfg", "class_names.txt"
MADE = ("checkpoints", "metrics.csv", "split.csv", "tensorboard")  # by training, step by step


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
        return self.path / "split.csv"


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
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
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


def find(path: Path, flag: str = "checkpoint_dir") -> RunFolder:
    """Opens the folder of a run that exists.

    Args:
      path: Of the folder.
      flag: That named it.

    Raises:
      RunError: There is no run.
    """
    if not (path / FLAGS).exists():
        raise RunError(
            f"no run in {path} - it has no {FLAGS}; "
            f"give --{flag} the run folder of a training (its --log_path)"
        )
    return RunFolder(path)


def check_same(
    found: Checkpoint, identity: Mapping[str, Any], folder: RunFolder, *, new_data: bool = False
) -> None:
    """Refuses to go on from a checkpoint with another training than made it.

    Args:
      found: Where to go on from.
      identity: What must not change within a run.
      folder: Of the run.
      new_data: Whether the pictures may have changed.

    Raises:
      RunError: With what has changed.
    """
    before = found.state["identity"]
    changed = [name for name in identity if before.get(name) != identity[name]]
    if new_data:
        changed = [name for name in changed if name != "split"]
    if changed:
        words = "; ".join(
            f"{n} was {_short(before.get(n))}, is {_short(identity[n])}" for n in changed
        )
        raise RunError(
            f"another training in {folder.path} - {words}; "
            "give --log_path a new folder, or the flags this run began with"
        )


def has_other_pictures(found: Checkpoint | None, identity: Mapping[str, Any]) -> bool:
    """Whether the split is not the one that the checkpoint was trained on."""
    return found is not None and found.state["identity"]["split"] != identity["split"]


def began(found: Checkpoint | None, identity: Mapping[str, Any]) -> int:
    """The step at which a run began to train on the pictures of its split; 0 for its first step."""
    if found is None:
        return 0
    if has_other_pictures(found, identity):
        return found.step
    return found.state.get("data_since", 0)


def check_classes(found: Checkpoint, class_names: Sequence[str], folder: RunFolder) -> None:
    """Refuses to go on from a checkpoint with other classes, or the same in another order.

    Raises:
      RunError: With what has changed.
    """
    before, now = list(found.state["identity"].get("class_names", [])), list(class_names)
    if before == now:
        return
    changes = [f"+{name}" for name in now if name not in before]
    changes += [f"-{name}" for name in before if name not in now]
    raise RunError(
        f"other classes in {found.path} - the checkpoint has {len(before)} classes "
        f"[{_few(before)}], the data has {len(now)} "
        f"[{_few(changes) if changes else 'in another order: ' + _few(now)}]; use "
        f"--init_from={folder.path} --new_head with another --log_path"
    )


def keep_split(folder: RunFolder, step: int) -> Path:
    """Copies the split of the pictures that were trained on until a step, before it is renewed.

    Raises:
      RunError: The folder cannot be written.
    """
    path = folder.path / f"split-until-{step:08d}.csv"
    if not path.exists():  # else the run was stopped before its first checkpoint with new data
        with writing(path):
            partial = path.with_name(f".{path.name}.partial")
            shutil.copyfile(folder.split, partial)
            os.replace(partial, path)
    return path


def put_aside(folder: RunFolder) -> Path | None:
    """Moves what a run has made so far into a folder within its own, for a fresh start.

    Returns:
      That folder; None if there was nothing to move.

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


def choose(folder: RunFolder, which: str) -> tuple[Checkpoint, dict[str, np.ndarray]]:
    """Reads the "best" checkpoint of a run, or the "last", with its tensors.

    A training that is running may remove what is being read; then there is a newer one to read.

    Raises:
      RunError: There is none, or it is damaged.
    """
    while True:
        before = checkpoints.listing(folder.checkpoints)
        try:
            return _choose(folder, which)
        except RunError:
            if checkpoints.listing(folder.checkpoints) == before:
                raise


def _choose(folder: RunFolder, which: str) -> tuple[Checkpoint, dict[str, np.ndarray]]:
    last = checkpoints.newest(folder.checkpoints, check=progress.check)
    if last is None:
        raise RunError(
            f"no checkpoint in {folder.checkpoints} - training has not saved one yet; "
            "wait for it, or lower --save_checkpoint_steps"
        )
    best_step = last.state["plateau"]["best_step"]
    if which == "best" and best_step not in (-1, last.step):
        last = checkpoints.at(folder.checkpoints, best_step)
    return last, last.tensors()


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with writing(path):
        partial.write_text(text, "utf-8", "surrogateescape")
        os.replace(partial, path)


def _on_one_line(name: str) -> str:
    """Escapes the ends of lines that the name of a folder may hold."""
    lines = name.splitlines(keepends=True)
    if lines == name.splitlines():
        return name
    return "".join(c if c == " " or not c.isspace() else repr(c)[1:-1] for c in name)


def _few(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
