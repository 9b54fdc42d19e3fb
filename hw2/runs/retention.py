"""Which checkpoints are kept."""

from __future__ import annotations

import warnings
from pathlib import Path

from hw2.runs import checkpoints


def prune(folder: Path, *, keep: int, best_step: int, keep_every: int = 0) -> None:
    """Removes surplus checkpoints, and updates the links `best` and `last`.

    Args:
      folder: Where checkpoints are kept.
      keep: How many to keep: the last, the best, and then the newest.
      best_step: The step of the best checkpoint; -1 for none.
      keep_every: Checkpoints at multiples of this step are kept as well, and not counted; 0 for
        none.
    """
    paths = checkpoints.listing(folder)
    if not paths:
        return
    counted = [
        path for path in paths if not (keep_every and checkpoints.step_of(path) % keep_every == 0)
    ]
    kept = {paths[-1], folder / f"step-{best_step:08d}"} & set(counted)
    for path in reversed(counted):
        if len(kept) < keep:
            kept.add(path)
    for path in counted:
        if path not in kept:
            checkpoints.remove(path)
    _link(folder / "last", paths[-1].name)
    _link(folder / "best", f"step-{best_step:08d}")


def _link(path: Path, target: str) -> None:
    """Makes a link for people to find, unless it would lead to nothing; no program reads it."""
    new = path.with_name(f".{path.name}.partial")
    try:
        if not path.with_name(target).is_dir():
            path.unlink(missing_ok=True)
            return
        new.unlink(missing_ok=True)
        new.symlink_to(target, target_is_directory=True)
        new.replace(path)
    except OSError as error:
        warnings.warn(f"no link {path}: {error.strerror}", stacklevel=2)
