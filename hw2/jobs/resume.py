"""The model where training starts: at a checkpoint, at other weights, or at random ones."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import RunError
from hw2.jobs import build, freezing, layer_decay
from hw2.jobs import model as trained
from hw2.jobs.spec import Spec, frozen_variables, head_variables
from hw2.jobs.start import Start
from hw2.runs import folder as run_folder
from hw2.training import progress as progresses
from hw2.training.learner import Learner
from hw2.training.loop import Run
from hw2.training.plateau import Plateau
from hw2.training.progress import Progress
from hw2.training.saving import restore


@dataclasses.dataclass
class State:
    """Everything that training changes.

    Attributes:
      learner: The model, its averages and the optimizer.
      run: The step, and what hooks see of it.
      progress: Scores, the plateau, and what is not logged yet.
    """

    learner: Learner
    run: Run
    progress: Progress


def restore_state(config: Config, start: Start, out: Console) -> State:
    """Builds the model, and sets everything to where training starts.

    That is the checkpoint of the run if it has one, else other weights if the settings name
    some, else random weights. To be called inside the scope of the strategy.

    Raises:
      RunError: The checkpoint is damaged, or of another model.
    """
    learner = build.learner(
        config,
        start.spec,
        len(start.training),
        load_pretrained=start.checkpoint is None,
        class_weights=start.class_weights,
    )
    run, progress = resume(config, learner, start)
    if start.checkpoint:
        out.print(f"resuming from step {run.step} of {start.folder.path}")
    elif config.init_from:
        load_weights(config, learner, start.spec, out)
    out.print(build.layers(config, learner, start.spec))
    if frozen := frozen_variables(start.spec, learner.model):
        until = f" until epoch {config.thaw_epoch}" if config.thaw_epoch else ""
        out.print(f"{freezing.summary(learner.model, frozen)}{until}")
    if config.layer_decay < 1:
        out.print(layer_decay.summary(learner.model, config.layer_decay))
    return State(learner, run, progress)


def resume(config: Config, learner: Learner, start: Start) -> tuple[Run, Progress]:
    """Restores the learner, the step and the scores from the checkpoint, if there is one.

    Raises:
      RunError: The checkpoint is damaged, or of another model.
    """
    found, last = start.checkpoint, start.last_step
    run = Run(0, last)
    if found is None:
        return run, Progress(Plateau(config.halve_after, config.stop_after))
    restore(learner.tensors, found.tensors(), found)
    progress = progresses.from_state(found.state)
    plateau = progress.plateau
    if start.best is None:
        progress.best, plateau.best_step = None, -1
    elif start.best.step != plateau.best_step:  # the best was damaged
        progress.best = progresses.from_state(start.best.state).validation
        plateau.best_step = start.best.step
    if start.new_data:  # scores on other pictures: the best has to be found again
        progress.best = progress.validation = None
        plateau.restart()
    before = found.state["settings"].get("best_by", "top1")
    if config.best_by != before:  # the best stays the best, until one is better
        score = progress.best.by(config.best_by) if progress.best else math.nan
        plateau.best = score if math.isfinite(score) else None
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


def load_weights(config: Config, learner: Learner, spec: Spec, out: Console) -> None:
    """Sets the weights to the averaged weights of another run, with or without its last layer.

    Raises:
      RunError: There is no such run, or its model or classes differ.
    """
    folder = run_folder.find(Path(config.init_from), flag="init_from")
    checkpoint, tensors = trained.choose(folder, "best")
    theirs = checkpoint.state["identity"].get("class_names", [])
    if theirs != spec["class_names"] and not config.new_head:
        raise RunError(
            f"other classes in {checkpoint.path} - the checkpoint has {len(theirs)}, the data "
            f"{len(spec['class_names'])}; give --new_head to keep all weights but the last layer's"
        )
    head = head_variables(spec) if config.new_head else set()
    for group in ("model/", "ema/"):
        values: dict[str, np.ndarray] = {
            group + name.removeprefix("ema/"): value
            for name, value in tensors.items()
            if name.startswith("ema/") and name.removeprefix("ema/") not in head
        }
        variables = {
            name: variable
            for name, variable in learner.tensors.items()
            if name.startswith(group) and name.removeprefix(group) not in head
        }
        restore(variables, values, checkpoint)
    but = f", except {', '.join(sorted(head))}" if head else ""
    out.print(f"starting from the weights of {checkpoint.path}{but}")
