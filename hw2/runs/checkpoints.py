"""Checkpoints: folders that are either complete or absent.

`step-00001200/` holds `tensors.safetensors` (every variable by name), `state.json` and
`manifest.json` (their SHA-256). It is written under another name, read back, and renamed. Where it
replaces one of the same step, that one is renamed first, and removed last: at every moment, every
reader finds a whole checkpoint, and the next start takes up what a killed process has left whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save

from hw2.errors import NotFinite, RunError, writing
from hw2.runs import disk

TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
FORMAT = 1  # of state.json; raised when an older program could not read it
_NAME = re.compile(r"step-(\d{8,})")
_PARTIAL = re.compile(r"\.step-(\d{8,})\.partial")  # being written
_REPLACED = re.compile(r"\.step-(\d{8,})\.replaced")  # being replaced by one of the same step

State = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose hashes have been verified."""

    path: Path
    step: int
    state: State
    digest: str  # SHA-256 of the tensors

    def tensors(self) -> dict[str, np.ndarray]:
        """Reads the value of every variable, by name.

        Raises:
          RunError: The file was removed or changed since the checkpoint was found, or holds a
            value that is not finite.
        """
        try:
            tensors = _load(self.path / TENSORS)
        except (OSError, SafetensorError) as error:
            raise _bad(self.path, error) from error
        if bad := _not_finite(tensors):
            raise _bad(self.path, ValueError(f"{bad} is not finite"))
        return tensors


def write(folder: Path, step: int, tensors: Mapping[str, np.ndarray], state: State) -> Checkpoint:
    """Writes a checkpoint completely, or not at all.

    Args:
      folder: Where checkpoints are kept. It is created if it is missing, but its parents are not.
      step: The number of steps completed.
      tensors: The value of each variable, by name.
      state: Anything else, as JSON.

    Raises:
      NotFinite: A value is not finite.
      RunError: The disk refuses. In both cases nothing is left behind.
    """
    if bad := _not_finite(tensors):
        raise NotFinite(
            f"{bad} is not finite in step {step} - the weights have diverged, so no checkpoint "
            "was written; lower --learning_rate"
        )
    path = folder / name_of(step)
    partial = folder / f".{path.name}.partial"
    state = {"format": FORMAT, "step": step} | state
    try:
        folder.mkdir(exist_ok=True)
        _take_up(folder)
        _sweep(folder)
        partial.mkdir()
        contents = {TENSORS: save(dict(tensors)), STATE: disk.json_bytes(state)}
        hashes = {name: disk.write(partial / name, data) for name, data in contents.items()}
        disk.write(partial / MANIFEST, disk.json_bytes(hashes))
        disk.flush(partial)
        _read_back(partial, tensors)
        _put(partial)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        reason = getattr(error, "strerror", None) or error
        megabytes = -(-sum(value.nbytes for value in tensors.values()) // 10**6) + 1
        raise RunError(
            f"checkpoint not written in {path} - {reason}; the one before is whole: keep "
            f"{megabytes} MB free or repair the folder, and rerun the command to resume from it"
        ) from error
    return Checkpoint(path, step, state, hashes[TENSORS])


def newest(
    folder: Path, *, repair: bool = False, check: Callable[[State], Any] = dict
) -> Checkpoint | None:
    """Finds the newest valid checkpoint, and warns of each invalid one that it skips.

    Args:
      folder: Where checkpoints are kept.
      repair: Whether to put in place what a killed process has left whole, to remove the halves,
        and to rename invalid ones to `.corrupt`, so that training can write them again. Only for
        the process that holds the lock of the run: another one would disturb a save. If there are
        checkpoints and none is valid, nothing is renamed or removed.
      check: Raises a `ValueError` with the reason when a state cannot be used.

    Returns:
      None when there is no checkpoint at all.

    Raises:
      RunError: There are checkpoints, and none is good.
    """
    if repair and folder.is_dir():
        with writing(folder):
            _take_up(folder)
    bad: dict[Path, RunError] = {}
    for path in reversed(listing(folder)):
        try:
            found = read(path, check)
            if repair:
                found.tensors()
        except RunError as error:
            bad[path] = error
            continue
        for newer, why in bad.items():
            warnings.warn(f"passed over: bad checkpoint in {newer} - {why.__cause__}", stacklevel=2)
            if repair:
                set_aside(newer)
        if repair:
            _sweep(folder)
        return found
    if bad:
        reasons = "; ".join(f"{path.name}: {error.__cause__}" for path, error in bad.items())
        raise RunError(
            f"no good checkpoint in {folder} - {reasons}; restore one, or give --fresh to "
            "set them aside and start again"
        )
    if repair and folder.is_dir():
        _sweep(folder)
    return None


def at(folder: Path, step: int, check: Callable[[State], Any] = dict) -> Checkpoint:
    """Reads the checkpoint of one step; see `read`.

    Raises:
      RunError: It is missing or damaged.
    """
    found = {step_of(path): path for path in listing(folder)}
    return read(found.get(step, folder / name_of(step)), check)


def read(path: Path, check: Callable[[State], Any] = dict) -> Checkpoint:
    """Reads a checkpoint's state after checking both files against their hashes.

    Args:
      path: The folder of the checkpoint.
      check: Raises a `ValueError` with the reason when the state cannot be used.

    Raises:
      RunError: Something is missing, changed or not a checkpoint.
    """
    step = step_of(path)
    try:
        hashes = disk.read_json(path / MANIFEST)
        for name in (TENSORS, STATE):
            if disk.sha256(path / name) != hashes.get(name):
                raise ValueError(f"{name} has changed since it was written")
        state = disk.read_json(path / STATE)
        if state.get("format") != FORMAT:
            raise ValueError(
                f"{STATE} is of format {state.get('format')!r}, this program reads {FORMAT}"
            )
        if state.get("step") != step:
            raise ValueError(f"{STATE} is of step {state.get('step')!r}")
        check(state)
    except (OSError, ValueError) as error:
        raise _bad(path, error) from error
    return Checkpoint(path, step, state, hashes[TENSORS])


def listing(folder: Path) -> list[Path]:
    """Folders of complete checkpoints, one for each step, oldest first."""
    if not folder.is_dir():
        return []
    paths = [path for path in folder.iterdir() if path.is_dir()]
    # One that was being replaced counts if the process was killed before the new one had its name.
    found = {step_of(path): path for path in paths if _REPLACED.fullmatch(path.name)}
    found |= {step_of(path): path for path in paths if _NAME.fullmatch(path.name)}
    return [found[step] for step in sorted(found)]


def remove(path: Path) -> None:
    """Removes a checkpoint, if it exists; it is renamed first, so that no half of it is left."""
    if path.exists():
        doomed = path.with_name(f".{name_of(step_of(path))}.removed.partial")
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
        shutil.rmtree(doomed)


def set_aside(path: Path) -> None:
    """Renames a damaged checkpoint, so that nothing reads it again and training can write it.

    Raises:
      RunError: The disk refuses.
    """
    aside, count = path.with_name(path.name + ".corrupt"), 1
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}.corrupt-{count}")
    try:
        path.rename(aside)
    except OSError as error:
        raise RunError(
            f"bad checkpoint in {path} - cannot be set aside: {error.strerror}; repair the folder"
        ) from error


def step_of(path: Path) -> int:
    """Returns the step that the name of a checkpoint holds."""
    return int(path.name.lstrip(".").removeprefix("step-").partition(".")[0])


def name_of(step: int) -> str:
    """Returns the name of the checkpoint of a step."""
    return f"step-{step:08d}"


def _take_up(folder: Path) -> None:
    """Gives what an interrupted process has left whole its name."""
    for path in sorted(folder.iterdir()):
        if _PARTIAL.fullmatch(path.name):
            with contextlib.suppress(RunError):  # half written
                read(path)
                _put(path)
    for path in sorted(folder.iterdir()):
        if _REPLACED.fullmatch(path.name) and not (folder / name_of(step_of(path))).exists():
            path.rename(folder / name_of(step_of(path)))


def _sweep(folder: Path) -> None:
    """Removes what an interrupted process has left half written or half removed."""
    for pattern in (".step-*.partial", ".step-*.replaced"):
        for left_over in folder.glob(pattern):
            shutil.rmtree(left_over, ignore_errors=True)


def _put(partial: Path) -> None:
    """Gives a checkpoint that is whole on the disk its name."""
    name = name_of(step_of(partial))
    disk.put_folder(partial, partial.with_name(name), partial.with_name(f".{name}.replaced"))


def _bad(path: Path, error: Exception) -> RunError:
    return RunError(
        f"bad checkpoint in {path} - {error}; restore it, or remove it to use the others"
    )


def _not_finite(tensors: Mapping[str, np.ndarray]) -> str | None:
    """Returns the first name whose value is not finite."""
    return next((name for name, value in tensors.items() if not _finite(value)), None)


def _finite(value: np.ndarray) -> bool:
    numeric = value.dtype.kind in "fc" or value.dtype.name == "bfloat16"  # of ml_dtypes
    return not numeric or bool(np.isfinite(value).all())


def _load(path: Path) -> dict[str, np.ndarray]:
    """Reads tensors through a memory map, or as bytes from a disk that knows no memory maps."""
    try:
        return load_file(path)
    except OSError:
        return load(path.read_bytes())


def _read_back(partial: Path, tensors: Mapping[str, np.ndarray]) -> None:
    stored = _load(partial / TENSORS)
    for name, value in tensors.items():
        if not np.array_equal(stored[name], value):
            raise OSError(f"{name} does not read back as written")
