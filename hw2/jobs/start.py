"""What a training starts from: the run folder, its split, and the checkpoint to resume."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config import advice, settings
from hw2.config.settings import Config
from hw2.errors import RunError
from hw2.input.examples import Examples
from hw2.input.files import spelling
from hw2.input.stream import order
from hw2.jobs import build, class_weights, data, program, settled
from hw2.jobs.record import record_of_run
from hw2.jobs.spec import Spec, check_momentum, make_spec
from hw2.machines import environment
from hw2.machines.workers import Workers
from hw2.runs import best, checkpoints, compatibility, lock
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.training import progress
from hw2.training.loop import Run


@dataclasses.dataclass(frozen=True)
class Start:
    """What a training starts from; nothing of it changes while it trains.

    Attributes:
      config: The settings, with values for those that were left open.
      folder: The run folder.
      examples: The data.
      training: Indices of the examples to train on.
      validation: Indices of the held-out examples.
      checkpoint: The checkpoint to resume; None for a new run.
      best: The best checkpoint so far; None if none was evaluated.
      spec: What must not change within a run.
      last_step: The step where training ends.
      record: What each checkpoint records besides its tensors and its progress, as JSON.
      new_data: Whether the data has changed since the checkpoint.
      class_weights: Weights of the classes in the loss; None where all count alike.
    """

    config: Config
    folder: RunFolder
    examples: Examples
    training: np.ndarray
    validation: np.ndarray
    checkpoint: Checkpoint | None
    best: Checkpoint | None
    spec: Spec
    last_step: int
    record: dict[str, Any]
    new_data: bool
    class_weights: Sequence[float] | None

    @property
    def data_since(self) -> int:
        """The step at which the run began to train on this data; 0 unless it has changed."""
        return self.record["data_since"]


def open_run(
    config: Config, workers: Workers, examples: Examples, stack: contextlib.ExitStack, out: Console
) -> Start:
    """Opens the run folder, and decides what the training starts from.

    The first worker writes; the others wait, and then read what it has written.

    Args:
      config: The settings.
      workers: The workers of the training.
      examples: The data.
      stack: Holds the lock of the run folder until it is closed.
      out: Where people read.

    Raises:
      DataError: The split does not fit the data, or leaves too few pictures.
      RunError: The folder cannot be used, or holds another training.
    """
    folder = RunFolder(Path(settings.run_folder(config)))
    drawn = folder  # whose split is used
    if config.find_rate:
        drawn, found, found_best = _look(config, workers, folder, examples, stack, out)
    else:
        opened = workers.on_first(lambda: _begin(config, folder, examples, stack, out))
        found, found_best = opened or _find_checkpoints(folder, examples)
    found = settled.renewed(found)
    examples = _named_as(found, examples)
    _check_shared(workers, found, folder)
    given, config = config, settled.settled(config, found, several=examples.several)
    training, validation = data.read_split(config, examples, drawn, out)
    if config.overfit_batches:
        mixed = training[order.permutation(len(training), config.seed, 0)]  # of all classes
        training = validation = mixed[: config.overfit_batches * config.batch_size]
    last_step = build.last_step(config, len(training))
    spec = make_spec(config, examples, drawn.split)
    if found:
        compatibility.check_same(found, spec, folder, new_data=config.accept_new_data)
        check_momentum(config, found)
    described = environment.describe(workers.strategy, deterministic=config.deterministic)
    new_data = compatibility.has_other_pictures(found, spec)
    weights = class_weights.of(config, examples, training)
    record = record_of_run(config, found, spec, described, last_step, weights)
    notes = [*settled.notes(given, config), *advice.notes(given, config)]
    for note in (*notes, *build.notes(config, len(training), last_step)):
        out.print(f"  note: {note}", style="dim")
    return Start(
        config,
        folder,
        examples,
        training,
        validation,
        found,
        found_best,
        spec,
        last_step,
        record,
        new_data,
        weights,
    )


def describe_run(config: Config, start: Start, run: Run) -> None:
    """Writes the settings of this start into the run folder; of a complete run, where its data is.

    Evaluation and the report look for the data there. A look for the rate leaves all as it is.
    """
    if config.find_rate:
        return
    if run.stop_reason is None:
        run_folder.describe(start.folder, *_description(config, start.examples))
    else:
        run_folder.replace_line(
            start.folder,
            "--train_data_path=",
            settings.line("train_data_path", config.train_data_path),
        )


def _begin(
    config: Config,
    folder: RunFolder,
    examples: Examples,
    stack: contextlib.ExitStack,
    out: Console,
) -> tuple[Checkpoint | None, Checkpoint | None]:
    """Makes the run folder, locks it, and writes the split, on the first worker.

    Returns:
      The checkpoint to resume and the best one, if there are any.
    """
    _lock(config, folder, examples, stack)
    if aside := config.fresh and run_folder.put_aside(folder):
        out.print(f"moved the results of the run so far to {aside}")
    found, found_best = _find_checkpoints(folder, examples, repair=True)
    data.write_split(config, _named_as(found, examples), folder, found, out)
    return found, found_best


def _look(
    config: Config,
    workers: Workers,
    folder: RunFolder,
    examples: Examples,
    stack: contextlib.ExitStack,
    out: Console,
) -> tuple[RunFolder, Checkpoint | None, Checkpoint | None]:
    """Opens a run folder to look at the run, and changes nothing of it.

    Returns:
      The folder of the split, which is a temporary one if the run's own does not apply; the
      checkpoint to begin with and the best one, if there are any.
    """
    workers.on_first(lambda: _lock(config, folder, examples, stack))
    found, found_best = (None, None) if config.fresh else _find_checkpoints(folder, examples)
    if found and not config.accept_new_data:
        return folder, found, found_best
    drawn = RunFolder(Path(stack.enter_context(tempfile.TemporaryDirectory())))
    if found:
        drawn.split.write_bytes(folder.split.read_bytes())
    data.write_split(config, _named_as(found, examples), drawn, found, out)
    return drawn, found, found_best


def _lock(
    config: Config, folder: RunFolder, examples: Examples, stack: contextlib.ExitStack
) -> None:
    """Makes the run folder if it is new, and keeps other trainings out of it."""
    run_folder.begin(folder.path, *_description(_new(config, examples), examples))
    stack.enter_context(lock.held(folder.path))


def _new(config: Config, examples: Examples) -> Config:
    """The settings of a new run on these examples."""
    return settled.settled(config, None, several=examples.several)


def _description(config: Config, examples: Examples) -> tuple[str, list[str]]:
    """The flagfile that repeats this run, and the names of the classes."""
    return settings.to_flagfile(config, program.words()), list(examples.class_names)


def _find_checkpoints(
    folder: RunFolder, examples: Examples, *, repair: bool = False
) -> tuple[Checkpoint | None, Checkpoint | None]:
    """Finds the newest good checkpoint and the best, and refuses other classes than the data's."""
    check = progress.check
    found = checkpoints.newest(folder.checkpoints, repair=repair, check=check)
    if found is None:
        return None, None
    compatibility.check_classes(found, _named_as(found, examples).class_names, folder)
    return found, best.find(folder.checkpoints, found, set_aside=repair, check=check)


def _named_as(found: Checkpoint | None, examples: Examples) -> Examples:
    """Gives the classes the names of a checkpoint, if only their spelling in Unicode differs."""
    before = found.state["identity"].get("class_names", []) if found else []
    find = spelling.finder(before)
    numbers = [find(name) for name in examples.class_names]
    if {*before} == {*examples.class_names} or sorted(numbers) != list(range(len(before))):
        return examples
    return examples.with_classes(before)


def _check_shared(workers: Workers, found: Checkpoint | None, folder: RunFolder) -> None:
    """Refuses a path that is not the same folder on all workers."""
    low, high = workers.barrier(found.step if found else -1)
    if low != high:
        raise RunError(
            f"different run folders in {folder.path} - workers see checkpoints of steps {low} "
            f"and {high}; give all workers a --log_path on a disk that they share"
        )
