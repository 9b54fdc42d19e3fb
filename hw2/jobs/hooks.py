"""The hooks of a training: its evaluation, its log, its TensorBoard events, its checkpoints."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from hw2.config.settings import KINDS, Config
from hw2.jobs import build, convolution, multilabel, tensorboard
from hw2.jobs.batches import Batches
from hw2.jobs.resume import State
from hw2.jobs.spec import preprocessing
from hw2.jobs.start import Start
from hw2.machines.workers import Workers
from hw2.runs import label
from hw2.training import losses, trackers
from hw2.training.hooks import Evaluation
from hw2.training.logger import SCORES, Logger
from hw2.training.loop import Hook, Run, every
from hw2.training.metrics import scorer
from hw2.training.multilabel import COLUMNS as OF_SEVERAL
from hw2.training.multilabel import AnyScores
from hw2.training.multilabel import scorer as multilabel_scorer
from hw2.training.progress import Progress, Unfinished
from hw2.training.saving import Saver
from hw2.training.step import Steps
from hw2.training.watch import Watch


@dataclasses.dataclass(frozen=True)
class Writers:
    """The hooks that write files; a worker that is not the first has none.

    Attributes:
      hooks: In the order in which to call them, after all others.
      log: A context in which the terminal shows the progress.
      save: Writes a checkpoint of the last step, unless it has one.
    """

    hooks: Sequence[Hook] = ()
    log: contextlib.AbstractContextManager = dataclasses.field(
        default_factory=contextlib.nullcontext
    )
    save: Callable[[Run], None] = lambda run: None


@dataclasses.dataclass(frozen=True)
class Hooks:
    """All hooks of a training.

    Attributes:
      evaluation: The one that scores the averaged weights.
      score: Scores the averaged weights on batches, which the devices of all workers share; takes
        `keep` as a scorer does. Several labels are given at the thresholds of the best evaluation.
      hooks: All, in the order in which to call them.
      writers: Those of them that write files.
    """

    evaluation: Evaluation
    score: Callable[..., Any]
    hooks: Sequence[Hook]
    writers: Writers


def make_hooks(
    config: Config,
    workers: Workers,
    start: Start,
    state: State,
    batches: Batches,
    steps: Steps,
    more: Sequence[Hook],
    out: Console,
) -> Hooks:
    """Makes all hooks: first the evaluation, then the caller's, last those that write files.

    Raises:
      RunError: The run folder cannot be written.
    """
    evaluate, score = _scorers(config, start, state, batches, steps)
    evaluation = Evaluation(
        evaluate, state.progress.plateau, state.progress.best, best_by=config.best_by
    )
    writers = workers.on_first(
        lambda: _writers(config, start, state, batches, steps, evaluation, out)
    )
    writers = writers or Writers()
    interval = build.steps_between(config, len(start.training))
    everything = [every(interval, evaluation), *more, *writers.hooks]
    return Hooks(
        evaluation,
        lambda batches, **options: score(batches, evaluation.best, **options),
        everything,
        writers,
    )


def _scorers(
    config: Config, start: Start, state: State, batches: Batches, steps: Steps
) -> tuple[Callable[[], AnyScores], Callable[..., AnyScores]]:
    """Makes what scores the validation part, and other batches given the best scores there."""
    averaged, held_out = state.learner.averaged, batches.validation
    if multilabel.is_of(start.spec):
        of_sets = losses.multilabel(config.loss, focal_gamma=config.focal_gamma)
        score_sets = multilabel_scorer(averaged, of_sets)
        return (
            lambda: score_sets(held_out, None, steps.check),
            lambda test, best: score_sets(test, getattr(best, "thresholds", None)),
        )
    loss = losses.named(config.loss, focal_gamma=config.focal_gamma)
    score, k = scorer(averaged, loss), min(config.top_k, len(start.examples.class_names))
    return (
        lambda: score(held_out, k, steps.check),
        lambda test, best, **options: score(test, k, **options),
    )


def _writers(
    config: Config,
    start: Start,
    state: State,
    batches: Batches,
    steps: Steps,
    evaluation: Evaluation,
    out: Console,
) -> Writers:
    """Opens the log and the TensorBoard events of a run, on the first worker."""
    run, progress, learner = state.run, state.progress, state.learner
    stop_on_error = config.on_save_error == "stop"
    interval = build.steps_between(config, len(start.training))
    events = tensorboard.opened(config, start.folder, run, learner, start.spec, out)
    tracker = None
    if not run.stop_reason and not config.dry_run:  # else it is complete, or nothing is kept
        shown = {name: getattr(config, name) for name in KINDS if KINDS[name] != "one command"}
        tracker = trackers.opened(config.tracker, start.folder.path, shown)
    logger = Logger(
        start.folder.path,
        run,
        frequency=config.log_frequency,
        batch_size=config.batch_size,
        out=out,
        unlogged=progress.unlogged,
        events=events,
        tracker=tracker,
        stop_on_error=stop_on_error,
        scores=OF_SEVERAL if multilabel.is_of(start.spec) else SCORES,
    )

    def checkpoint_state(run: Run, unfinished: bool) -> dict[str, Any]:
        due = Unfinished(rate=run.rate, **run.metrics) if unfinished else None
        now = Progress(progress.plateau, evaluation.best, run.validation, logger.unlogged, due)
        return start.record | convolution.record(config, start.checkpoint) | now.to_state()

    saver = Saver(
        start.folder.checkpoints,
        learner.tensors,
        checkpoint_state,
        lambda: progress.plateau.best_step,
        keep=config.keep_checkpoints,
        keep_every=config.keep_every,
        stop_on_error=stop_on_error,
        refused=evaluation.forget,
    )
    saver.saved_step = start.checkpoint.step if start.checkpoint else None
    hooks: list[Hook] = [logger]
    if events:
        look = tensorboard.pictures(
            steps, batches.examples, batches.indices, preprocessing(start.spec)
        )
        hooks.append(Watch(events, learner, config.histogram_steps or interval, look))
    hooks.append(every(interval, saver))  # last, to save what the other hooks have changed

    def label_best(run: Run) -> None:
        scores, step = evaluation.best, progress.plateau.best_step
        if scores:
            epoch = step * config.batch_size / len(start.training)
            name, score = scores.main
            label.best(
                start.folder.checkpoints,
                step,
                epoch=epoch,
                loss=scores.loss,
                score=score,
                name=name.replace("-", ""),
            )

    hooks.append(every(interval, label_best))
    return Writers(hooks, logger, saver.finish)
