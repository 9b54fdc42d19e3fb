"""Where a training goes on from: its checkpoint, or the weights of another run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import RunError
from hw2.jobs import model as trained
from hw2.jobs import spec
from hw2.jobs.spec import Identity
from hw2.machines import environment
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.training import progress as progresses
from hw2.training.learner import Learner
from hw2.training.loop import Run
from hw2.training.progress import Progress
from hw2.training.saving import restore
from hw2.training.schedules import Plateau


def recorded(config: Config, last: int) -> dict[str, Any]:
    """The settings that a checkpoint records, for a later start to be warned of others."""
    values = {name: getattr(config, name) for name in settings.RECORDED}
    return values | ({"last_step": last} if config.schedule == "cosine" else {})


def history(found: Checkpoint, now: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What has changed at each start of a run, this one included; warns if this one has.

    Args:
      found: Where to go on from.
      now: "environment" and "settings".
    """
    # Where the checkpoint is older than a flag, it was trained with what is the default.
    defaults = {name: settings.FIELDS[name].default for name in settings.RECORDED}
    old = {**found.state, "settings": defaults | found.state["settings"]}
    changes = [words for part in now for words in environment.changes(old[part], now[part])]
    before = found.state.get("history", [])
    if not changes:
        return before
    warnings.warn(environment.warning(changes), stacklevel=2)
    return [*before, {"step": found.step, "changes": changes}]


def resume(
    config: Config, made: Learner, found: Checkpoint | None, last: int, *, new_data: bool = False
) -> tuple[Run, Progress]:
    """Puts everything where the checkpoint has it.

    Args:
      config: The settings.
      made: The learner.
      found: The checkpoint; None where training begins.
      last: Step where training ends.
      new_data: Whether its scores are of other pictures, so that the best one has to be found
        anew.

    Raises:
      RunError: The checkpoint is damaged, or of another model.
    """
    run = Run(0, last)
    if found is None:
        return run, Progress(Plateau(config.halve_after, config.stop_after))
    restore(made.tensors, found.tensors(), found)
    progress = progresses.from_state(found.state)
    plateau = progress.plateau
    if new_data:
        progress.best = progress.validation = None
        plateau.restart()
    plateau.halve_after, plateau.stop_after = config.halve_after, config.stop_after
    run.step = found.step
    if progress.unfinished:
        run.rate, run.hooks_due = progress.unfinished.rate, True
        run.metrics = {
            "loss": progress.unfinished.loss,
            "accuracy": progress.unfinished.accuracy,
        }
    elif plateau.exhausted:
        run.stop(f"no gain over {plateau.without_gain} evaluations")
    elif run.step >= last:
        flag = f"--epochs={config.epochs}" if config.epochs else f"--max_steps={last}"
        run.stop(f"{flag} is reached")
    return run, progress


def begin_from(config: Config, made: Learner, same: Identity, out: Console) -> None:
    """Begins with the averaged weights of another run, all of them or all but the head.

    Raises:
      RunError: There is no such run, or its model or classes differ.
    """
    folder = run_folder.find(Path(config.init_from), flag="init_from")
    checkpoint, tensors = trained.choose(folder, "best")
    theirs = checkpoint.state["identity"].get("class_names", [])
    if theirs != same["class_names"] and not config.new_head:
        raise RunError(
            f"other classes in {checkpoint.path} - the checkpoint has {len(theirs)}, the data "
            f"{len(same['class_names'])}; give --new_head to keep all weights but the last layer's"
        )
    head = spec.head(same) if config.new_head else set()
    for group in ("model/", "ema/"):
        values: dict[str, np.ndarray] = {
            group + name.removeprefix("ema/"): value
            for name, value in tensors.items()
            if name.startswith("ema/") and name.removeprefix("ema/") not in head
        }
        variables = {
            name: variable
            for name, variable in made.tensors.items()
            if name.startswith(group) and name.removeprefix(group) not in head
        }
        restore(variables, values, checkpoint)
    but = f", but {', '.join(sorted(head))}" if head else ""
    out.print(f"beginning with the weights of {checkpoint.path}{but}")
