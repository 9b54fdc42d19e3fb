"""The wiring: from settings to a trained model."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2 import ops
from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import Interrupted, RunError
from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.input.stream import order
from hw2.jobs import build, data, model, outcome, prepare, resume, spec, tensorboard
from hw2.jobs.evaluate import Evaluator
from hw2.jobs.spec import Identity
from hw2.machines import cluster, devices, environment, signals
from hw2.machines.cluster import Cluster
from hw2.machines.signals import Signals
from hw2.ops import fusion
from hw2.runs import compatibility, diagnosis, lock
from hw2.runs import folder as run_folder
from hw2.runs.folder import RunFolder
from hw2.terminal import console, noise
from hw2.training import losses, rate_finder
from hw2.training.events import Events
from hw2.training.hooks import Evaluation
from hw2.training.learner import Learner
from hw2.training.logger import Logger
from hw2.training.loop import Hook, Run, every, fit
from hw2.training.metrics import scorer
from hw2.training.progress import Progress, Unfinished
from hw2.training.saving import Saver
from hw2.training.step import Steps
from hw2.training.watch import Watch


def train(config: Config, *, mirrored: bool = False, hooks: Sequence[Hook] = ()) -> None:
    """Trains, or goes on training, the run in the run folder; prints one JSON line at the end.

    Args:
      config: The settings.
      mirrored: Whether to train on several devices, or machines.
      hooks: Called after every step, before a checkpoint of it is written; by every worker.

    Raises:
      Fault: With what is wrong and what to do.
      Interrupted: By a signal, once a checkpoint is written.
    """
    # Under Slurm, tasks that train on one device each are trainings by themselves.
    environ = os.environ if mirrored else {"TF_CONFIG": os.environ.get("TF_CONFIG", "")}
    group = cluster.from_environment(environ)
    with contextlib.ExitStack() as stack:
        stack.enter_context(devices.told_of_machines(several=group is not None))
        caught = stack.enter_context(signals.caught())
        if config.dry_run:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            config = dataclasses.replace(
                config, log_path=f"{folder}/run", max_steps=1, epochs=0, fresh=False
            )
        _train(config, mirrored, group, hooks, caught, stack)


def _train(
    config: Config,
    mirrored: bool,
    group: Cluster | None,
    hooks: Sequence[Hook],
    caught: Signals,
    stack: contextlib.ExitStack,
) -> None:
    started = time.perf_counter()
    chief = group is None or group.index == 0
    out = console.stderr(quiet=not chief)
    config = dataclasses.replace(
        config,
        train_data_path=data.lasting(config.train_data_path),
        test_data_path=data.lasting(config.test_data_path),
        disk_cache=data.lasting(config.disk_cache),
    )
    spec.check_model(config)  # mistakes are errors before anything is written
    devices.configure(threads=config.threads, deterministic=config.deterministic)
    strategy = prepare.make_strategy(config, mirrored, group, out)
    with noise.without_noise():
        fusion.warm_up()
    examples = data.read(config, config.train_data_path, "train", out)
    spec.prepared(config, examples.channels)  # says what does not fit the data
    data.check_parts(config, examples)
    test = None
    if config.test_data_path:
        test = data.read(config, config.test_data_path, "test", out, examples.class_names)
        data.check_leak(config, examples, test)
    description = settings.to_flagfile(config, Path(sys.argv[0]).name), examples.class_names
    folder = RunFolder(Path(settings.run_folder(config)))
    if chief:
        folder = run_folder.begin(folder.path, *description)
        stack.enter_context(lock.held(folder.path))
        if aside := config.fresh and run_folder.put_aside(folder):
            out.print(f"what was there is in {aside}")
        found = prepare.find_checkpoint(folder, examples, set_aside=True)
        training, validation = data.make_split(config, examples, folder, out, found)
    if group:
        found, training, validation = prepare.agree(strategy, folder, examples)
    if config.overfit_batches:
        mixed = training[order.permutation(len(training), config.seed, 0)]  # of every class
        training = validation = mixed[: config.overfit_batches * config.batch_size]
    last_step = build.last_step(config, len(training))
    same = spec.of(config, examples, folder.split)
    recorded = {
        "environment": environment.describe(strategy, deterministic=config.deterministic),
        "settings": resume.recorded(config, last_step),
    }
    if found:
        compatibility.check_same(found, same, folder, new_data=config.accept_new_data)
    recorded["history"] = resume.history(found, recorded) if found else []
    recorded["data_since"] = since = compatibility.began(found, same)
    new_data = compatibility.has_other_pictures(found, same)
    if new_data:
        recorded["history"].append({"step": since, "changes": ["the pictures are others"]})

    caught.defer()
    stack.enter_context(strategy.scope())
    stack.enter_context(ops.algorithm(config.conv_algorithm, recompute=config.recompute_patches))
    stack.enter_context(pipeline.naming_errors())
    if config.check_numerics:
        tf.debugging.enable_check_numerics()
        stack.callback(tf.debugging.disable_check_numerics)
    learner = build.learner(config, same, begins=found is None)
    run, progress = resume.resume(config, learner, found, last_step, new_data=new_data)
    if found:
        out.print(f"going on from step {run.step} of {folder.path}")
    elif config.init_from:
        resume.begin_from(config, learner, same, out)
    out.print(build.layers(config, learner, same))
    if run.stop_reason is None and chief:
        run_folder.describe(folder, *description)  # a later last step, or another rate
    held_out, batches, at = prepare.make_batches(
        config, strategy, group, examples, training, validation, same, run.step, since
    )

    def names(step: int) -> list[str]:
        return [examples.names[index] for index in at(step)]

    steps = Steps(learner, caught, names=names, alone=group is None)
    if config.find_rate:
        caught.raise_at_once()  # there is nothing to save
        curve = rate_finder.search(learner.train_step, iter(batches))
        outcome.show_rate(curve, rate_finder.write(curve, folder.path) if chief else (), out)
        return
    score = scorer(learner.averaged, losses.LOSSES[config.loss])
    k = min(config.top_k, len(examples.class_names))
    evaluation = Evaluation(
        lambda: score(held_out, k, steps.check), progress.plateau, progress.best
    )
    steps_between = build.steps_between(config, len(training))
    everything = [every(steps_between, evaluation), *hooks]
    saver, live = None, contextlib.nullcontext()
    if chief:
        rest = {"identity": same, "train_data_path": config.train_data_path} | recorded
        events = tensorboard.opened(config, folder, run, learner, same, out)
        logger, saver = _writers(
            config, folder, run, learner, progress, evaluation, rest, events, out
        )
        live = logger
        saver.saved_step = found.step if found else None
        everything.append(logger)
        if events:
            look = tensorboard.pictures(steps, examples, at, spec.preprocessing(same))
            often = config.histogram_steps or steps_between
            everything.append(Watch(events, learner, often, look))
        everything.append(every(steps_between, saver))
    schedule = build.schedule(config, len(training), last_step)
    try:
        with live:
            fit(
                run,
                steps,
                iter(batches),
                rate=lambda step: schedule(step) * progress.plateau.scale,
                hooks=everything,
                check=steps.check,
            )
    except Interrupted as stop:
        _leave(stop, run, saver, group and strategy)
    if saver:
        saver.finish(run)  # of a step where a hook asked to stop
    if group is None:
        caught.raise_at_once()  # all is saved
    if found and run.step == found.step:
        out.print(f"already complete at step {run.step}: {run.stop_reason}")
    if chief:
        result = {"k": k, "step": run.step, "stop_reason": run.stop_reason}
        if best := evaluation.best:
            result |= {"val_top1": best.top1, "val_topk": best.topk, "k": best.k}
            result["best_step"] = progress.plateau.best_step
        _conclude(config, folder, same, test, result, started, out)
    if group:
        devices.barrier(strategy)  # none leaves while the first one is at work


def _writers(
    config: Config,
    folder: RunFolder,
    run: Run,
    learner: Learner,
    progress: Progress,
    evaluation: Evaluation,
    rest: dict[str, Any],
    events: Events | None,
    out: Console,
) -> tuple[Logger, Saver]:
    """What writes the figures and the checkpoints of a run; `rest` goes into each of these."""
    logger = Logger(
        folder.path,
        run,
        frequency=config.log_frequency,
        batch_size=config.batch_size,
        out=out,
        unlogged=progress.unlogged,
        events=events,
        stop_on_error=config.on_save_error == "stop",
    )

    def state(run: Run, unfinished: bool) -> dict[str, Any]:
        due = Unfinished(rate=run.rate, **run.metrics) if unfinished else None
        now = Progress(progress.plateau, evaluation.best, run.validation, logger.unlogged, due)
        return rest | now.to_state()

    saver = Saver(
        folder.checkpoints,
        learner.tensors,
        state,
        lambda: progress.plateau.best_step,
        keep=config.keep_checkpoints,
        keep_every=config.keep_every,
        stop_on_error=config.on_save_error == "stop",
    )
    return logger, saver


def _conclude(
    config: Config,
    folder: RunFolder,
    same: Identity,
    test: Examples | None,
    result: dict[str, Any],
    started: float,
    out: Console,
) -> None:
    """Scores the best checkpoint on the test data, if there are any, and prints what came of it."""
    if test:
        checkpoint, tensors = model.choose(folder, "best")
        judge = Evaluator(
            same, test, np.arange(len(test)), config.batch_size, result["k"], config.loss
        )
        scores = judge(checkpoint, tensors, "ema")
        result |= {"test_top1": scores.top1, "test_topk": scores.topk}
    result["seconds"] = round(time.perf_counter() - started, 1)
    if config.dry_run:
        outcome.show_dry_run(result, out)
        return
    result["log_path"] = str(folder.path)
    commands = outcome.next_commands(folder.path, config.test_data_path, result["k"])
    sayings = []
    with contextlib.suppress(RunError):  # a disk that refused the rows has been told of
        sayings = diagnosis.diagnose_file(folder.path / "metrics.csv")
    outcome.show(result, commands, out, [] if config.overfit_batches else sayings)


def _leave(
    stop: Interrupted,
    run: Run,
    saver: Saver | None,
    together: tf.distribute.Strategy | None,
) -> NoReturn:
    """Writes a checkpoint of where a signal stopped the training, and says so."""
    if saver:
        saver.finish(run)
    if together:
        devices.barrier(together)  # none leaves while the first one writes
    name = signal.Signals(stop.signum).name
    raise Interrupted(
        stop.signum, f"stopped by {name} at step {run.step}; the same command goes on from it"
    ) from None
