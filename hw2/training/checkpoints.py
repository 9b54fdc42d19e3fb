"""Checkpoints: folders that are either whole or not there.

`step-00001200/` holds `tensors.safetensors` (every variable by name), `state.json` and
`manifest.json` (their SHA-256). It is written under another name, read back, and renamed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from hw2.errors import NotFinite, RunError

TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_NAME = re.compile(r"step-(\d{8,})")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk, its hashes found right."""

    path: Path
    step: int
    state: dict[str, Any]

    def tensors(self) -> dict[str, np.ndarray]:
        """Every value by name.

        Raises:
          RunError: The file has gone or changed since the checkpoint was found.
        """
        try:
            return load_file(self.path / TENSORS)
        except (OSError, SafetensorError) as error:
            raise _bad(self.path, error) from error


def write(
    folder: Path, step: int, tensors: Mapping[str, np.ndarray], state: dict[str, Any]
) -> Checkpoint:
    """Writes a checkpoint whole, or not at all.

    Args:
      folder: Where checkpoints are kept; made when missing, its parents not.
      step: Steps done.
      tensors: Values by name.
      state: Anything else, as JSON.

    Raises:
      NotFinite: A value is not finite.
      RunError: The disk refuses. In both cases nothing is left behind.
    """
    bad = [name for name, value in tensors.items() if not np.isfinite(value).all()]
    if bad:
        raise NotFinite(
            f"{bad[0]} is not finite in step {step} - the weights have diverged, so no checkpoint "
            "was written; lower --learning_rate"
        )
    path = folder / f"step-{step:08d}"
    partial = folder / f".{path.name}.partial"
    try:
        for left_over in folder.glob(".step-*.partial"):  # by a kill
            shutil.rmtree(left_over, ignore_errors=True)
        folder.mkdir(exist_ok=True)
        partial.mkdir()
        save_file(dict(tensors), partial / TENSORS)
        (partial / STATE).write_text(json.dumps(state, indent=1, allow_nan=False) + "\n")
        hashes = {name: _sha256(partial / name) for name in (TENSORS, STATE)}
        (partial / MANIFEST).write_text(json.dumps(hashes, indent=1) + "\n")
        _read_back(partial, tensors)
        for item in (*partial.iterdir(), partial):
            _flush(item)
        if path.exists():
            shutil.rmtree(path)
        partial.rename(path)
        _flush(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        raise RunError(
            f"checkpoint not written in {path} - {reason}; the one before is "
            "whole: make room or mend the folder, and start again to go on from it"
        ) from error
    return Checkpoint(path, step, state)


def newest(folder: Path, *, set_aside: bool = False) -> Checkpoint | None:
    """Finds the newest good checkpoint, with a warning for each bad one passed over.

    Args:
      folder: Where checkpoints are kept.
      set_aside: Whether to rename bad ones to `.corrupt`, so that training can write theirs anew.

    Returns:
      None when there is no checkpoint at all.

    Raises:
      RunError: There are checkpoints, and none is good.
    """
    reasons = []
    for path in reversed(listing(folder)):
        try:
            return read(path)
        except RunError as error:
            reasons.append(str(error))
            warnings.warn(f"passed over: {error}", stacklevel=2)
            if set_aside:
                aside = path.with_name(path.name + ".corrupt")
                shutil.rmtree(aside, ignore_errors=True)
                path.rename(aside)
    if reasons:
        raise RunError(
            f"no good checkpoint in {folder} - {'; '.join(reasons)}; "
            "give another --log_path to begin again"
        )
    return None


def at(folder: Path, step: int) -> Checkpoint:
    """Reads the checkpoint of one step.

    Raises:
      RunError: It is missing or damaged.
    """
    return read(folder / f"step-{step:08d}")


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint's state after checking both files against their hashes.

    Raises:
      RunError: Something is missing, changed or not a checkpoint.
    """
    try:
        hashes = json.loads((path / MANIFEST).read_text())
        for name in (TENSORS, STATE):
            if _sha256(path / name) != hashes[name]:
                raise ValueError(f"{name} has changed since it was written")
        state = json.loads((path / STATE).read_text())
        if not isinstance(state, dict):
            raise ValueError(f"{STATE} is not an object")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _bad(path, error) from error
    return Checkpoint(path, int(_NAME.fullmatch(path.name)[1]), state)


def listing(folder: Path) -> list[Path]:
    """Folders of complete checkpoints, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: int(_NAME.fullmatch(path.name)[1]))


def prune(folder: Path, *, keep: int, best_step: int) -> None:
    """Removes all but the newest `keep` and the best, and links `best` and `last` to them."""
    paths = listing(folder)
    for path in paths[:-keep]:
        if path.name != f"step-{best_step:08d}":
            shutil.rmtree(path)
    _link(folder / "last", paths[-1].name)
    if best_step >= 0:
        _link(folder / "best", f"step-{best_step:08d}")


def _bad(path: Path, error: Exception) -> RunError:
    return RunError(
        f"bad checkpoint in {path} - {error}; use another of the run (--checkpoint=last or best)"
    )


def _link(path: Path, target: str) -> None:
    """For people to find; nothing reads them."""
    new = path.with_name(f".{path.name}.partial")
    try:
        new.unlink(missing_ok=True)
        new.symlink_to(target, target_is_directory=True)
        new.replace(path)
    except OSError as error:
        warnings.warn(f"no link {path}: {error.strerror}", stacklevel=2)


def _read_back(partial: Path, tensors: Mapping[str, np.ndarray]) -> None:
    stored = load_file(partial / TENSORS)
    for name, value in tensors.items():
        if not np.array_equal(stored[name], value):
            raise OSError(f"{name} does not read back as written")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _flush(path: Path) -> None:
    """Waits until the disk has it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
