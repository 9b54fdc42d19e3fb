"""The best checkpoint of a run: the evaluated one with the best validation score."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from hw2.errors import RunError
from hw2.runs import checkpoints
from hw2.runs.checkpoints import Checkpoint, State

WORDS = {"top1": "top-1", "mean_average_precision": "mAP"}


def find(
    folder: Path,
    last: Checkpoint,
    *,
    set_aside: bool = False,
    check: Callable[[State], Any] = dict,
) -> Checkpoint | None:
    """Finds the best checkpoint; where it is damaged or gone, the next best, with a warning.

    Args:
      folder: Where checkpoints are kept.
      last: The newest good one, which records which is the best.
      set_aside: Whether to rename damaged ones to `.corrupt`.
      check: Raises a `ValueError` with the reason when a state cannot be used.

    Returns:
      None where no checkpoint was evaluated.

    Raises:
      RunError: A damaged one cannot be renamed.
    """
    step = last.state["plateau"]["best_step"]
    if step == -1:
        return None
    if step == last.step:
        return last
    wanted = last.path.with_name(checkpoints.name_of(step))
    bad: dict[Path, BaseException] = {}
    found = _first_good([wanted], last, check, bad)
    if found:
        return found
    others = (path for path in checkpoints.listing(folder) if path != wanted)
    found = _first_good(_by_score(others, last, check), last, check, bad)
    for path, why in bad.items():
        instead = "no other one was evaluated"
        if found:
            name = best_by(last)
            score = found.state["validation"][name]
            word = WORDS.get(name, name.replace("_", " "))
            instead = f"the next best is step {found.step}, with validation {word} {score:.4f}"
        warnings.warn(f"passed over the best: {path} - {why}; {instead}", stacklevel=2)
        if set_aside and path.exists():
            checkpoints.set_aside(path)
    return found


def best_by(last: Checkpoint) -> str:
    """The validation score by which checkpoints of a run are compared."""
    return last.state.get("settings", {}).get("best_by", "top1")


def _first_good(
    paths: Iterable[Path],
    last: Checkpoint,
    check: Callable[[State], Any],
    bad: dict[Path, BaseException],
) -> Checkpoint | None:
    """Returns the first that can be read; adds those before it to `bad`, with the reason."""
    for path in paths:
        try:
            step = checkpoints.step_of(path)
            found = last if step == last.step else checkpoints.at(path.parent, step, check)
            found.tensors()
            return found
        except RunError as error:
            bad[path] = error.__cause__ or error
    return None


def _by_score(paths: Iterable[Path], last: Checkpoint, check: Callable[[State], Any]) -> list[Path]:
    """The evaluated ones, the best first; those of other images do not count."""
    name = best_by(last)
    sign = 1 if name == "loss" else -1
    scores = []
    for path in paths:
        try:
            found = checkpoints.read(path, check)
        except RunError:
            continue  # it is no candidate, and `newest` tells of it if a run resumes from it
        scored = found.state.get("validation")
        score = scored and scored.get(name)
        if score is not None and found.step > last.state.get("data_since", 0):
            scores.append((sign * score, found.step, path))
    return [path for _, _, path in sorted(scores)]
