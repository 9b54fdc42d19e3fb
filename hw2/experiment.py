"""The wiring: from settings to a trained model."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2 import (
    board,
    closing,
    cluster,
    command,
    console,
    dataset,
    identity,
    ops,
    run_folder,
    session,
)
from hw2 import config as settings
from hw2.cluster import Cluster
from hw2.config import Config
from hw2.errors import DataError, Interrupted, RunError, UsageError, writing
from hw2.evaluation import Evaluator
from hw2.identity import Identity
from hw2.input import content, order, pipeline, split
from hw2.input.examples import Examples
from hw2.input.paths import shown
from hw2.input.pipeline import Part
from hw2.ops import fusion
from hw2.run_folder import RunFolder
from hw2.training import (
    checkpoints,
    curves,
    devices,
    environment,
    lock,
    losses,
    rate_finder,
    signals,
)
from hw2.training import progress as progresses
from hw2.training.checkpoints import Checkpoint
from hw2.training.events import Events
from hw2.training.hooks import Evaluation
from hw2.training.learner import Learner
from hw2.training.logger import Logger
from hw2.training.loop import Hook, Run, every, fit
from hw2.training.metrics import scorer
from hw2.training.progress import Progress, Unfinished
from hw2.training.saving import Saver
from hw2.training.signals import Signals
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
        train_data_path=dataset.lasting(config.train_data_path),
        test_data_path=dataset.lasting(config.test_data_path),
        disk_cache=dataset.lasting(config.disk_cache),
    )
    identity.check_model(config)  # mistakes are errors before anything is written
    devices.configure(threads=config.threads, deterministic=config.deterministic)
    strategy = _strategy(config, mirrored, group, out)
    with command.without_noise():
        fusion.warm_up()
    examples = dataset.read(config, config.train_data_path, "train", out)
    identity.prepared(config, examples.channels)  # says what does not fit the data
    _check_parts(config, examples)
    test = None
    if config.test_data_path:
        test = dataset.read(config, config.test_data_path, "test", out, examples.class_names)
        _check_leak(config, examples, test)
    description = settings.to_flagfile(config, Path(sys.argv[0]).name), examples.class_names
    folder = RunFolder(Path(settings.run_folder(config)))
    if chief:
        folder = run_folder.begin(folder.path, *description)
        stack.enter_context(lock.held(folder.path))
        if aside := config.fresh and run_folder.put_aside(folder):
            out.print(f"what was there is in {aside}")
        found = _found(folder, examples, set_aside=True)
        training, validation = _split(config, examples, folder, out, found)
    if group:
        found, training, validation = _agreed(strategy, folder, examples)
    if config.overfit_batches:
        mixed = training[order.permutation(len(training), config.seed, 0)]  # of every class
        training = validation = mixed[: config.overfit_batches * config.batch_size]
    last_step = session.last_step(config, len(training))
    same = identity.of(config, examples, folder.split)
    recorded = {
        "environment": environment.describe(strategy, deterministic=config.deterministic),
        "settings": session.recorded(config, last_step),
    }
    if found:
        run_folder.check_same(found, same, folder, new_data=config.accept_new_data)
    recorded["history"] = session.history(found, recorded) if found else []
    recorded["data_since"] = since = run_folder.began(found, same)
    new_data = run_folder.has_other_pictures(found, same)
    if new_data:
        recorded["history"].append({"step": since, "changes": ["the pictures are others"]})

    caught.defer()
    stack.enter_context(strategy.scope())
    stack.enter_context(ops.algorithm(config.conv_algorithm, recompute=config.recompute_patches))
    stack.enter_context(pipeline.naming_errors())
    if config.check_numerics:
        tf.debugging.enable_check_numerics()
        stack.callback(tf.debugging.disable_check_numerics)
    learner = session.learner(config, same, begins=found is None)
    run, progress = session.resume(config, learner, found, last_step, new_data=new_data)
    if found:
        out.print(f"going on from step {run.step} of {folder.path}")
    elif config.init_from:
        session.begin_from(config, learner, same, out)
    out.print(session.layers(config, learner, same))
    if run.stop_reason is None and chief:
        run_folder.describe(folder, *description)  # a later last step, or another rate
    held_out, batches, at = _batches(
        config, strategy, group, examples, training, validation, same, run.step, since
    )

    def names(step: int) -> list[str]:
        return [examples.names[index] for index in at(step)]

    steps = Steps(learner, caught, names=names, alone=group is None)
    if config.find_rate:
        caught.raise_at_once()  # there is nothing to save
        curve = rate_finder.search(learner.train_step, iter(batches))
        closing.show_rate(curve, rate_finder.write(curve, folder.path) if chief else (), out)
        return
    score = scorer(learner.averaged, losses.LOSSES[config.loss])
    k = min(config.top_k, len(examples.class_names))
    evaluation = Evaluation(
        lambda: score(held_out, k, steps.check), progress.plateau, progress.best
    )
    steps_between = session.steps_between(config, len(training))
    everything = [every(steps_between, evaluation), *hooks]
    saver, live = None, contextlib.nullcontext()
    if chief:
        rest = {"identity": same, "train_data_path": config.train_data_path} | recorded
        events = board.opened(config, folder, run, learner, same, out)
        logger, saver = _writers(
            config, folder, run, learner, progress, evaluation, rest, events, out
        )
        live = logger
        saver.saved_step = found.step if found else None
        everything.append(logger)
        if events:
            look = board.pictures(steps, examples, at, identity.preprocessing(same))
            often = config.histogram_steps or steps_between
            everything.append(Watch(events, learner, often, look))
        everything.append(every(steps_between, saver))
    schedule = session.schedule(config, len(training), last_step)
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
        checkpoint, tensors = run_folder.choose(folder, "best")
        judge = Evaluator(
            same, test, np.arange(len(test)), config.batch_size, result["k"], config.loss
        )
        scores = judge(checkpoint, tensors, "ema")
        result |= {"test_top1": scores.top1, "test_topk": scores.topk}
    result["seconds"] = round(time.perf_counter() - started, 1)
    if config.dry_run:
        closing.show_dry_run(result, out)
        return
    result["log_path"] = str(folder.path)
    commands = closing.next_commands(folder.path, config.test_data_path, result["k"])
    sayings = []
    with contextlib.suppress(RunError):  # a disk that refused the rows has been told of
        sayings = curves.of(folder.path / "metrics.csv")
    closing.show(result, commands, out, [] if config.overfit_batches else sayings)


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


def _found(folder: RunFolder, examples: Examples, *, set_aside: bool = False) -> Checkpoint | None:
    """The newest good checkpoint, which must have the classes of the data."""
    found = checkpoints.newest(folder.checkpoints, set_aside=set_aside, check=progresses.check)
    if found:
        run_folder.check_classes(found, examples.class_names, folder)
    return found


def _agreed(
    strategy: tf.distribute.Strategy, folder: RunFolder, examples: Examples
) -> tuple[Checkpoint | None, np.ndarray, np.ndarray]:
    """Reads what the first worker has written, on all; they must see the same."""
    devices.barrier(strategy)
    found = _found(folder, examples)
    steps = devices.barrier(strategy, found.step if found else -1)
    if steps[0] != steps[1]:
        raise RunError(
            f"not one run folder in {folder.path} - workers see checkpoints of steps {steps[0]} "
            f"and {steps[1]}; give all a --log_path on one disk that they share"
        )
    return found, *split.read(folder.split, examples)


def _batches(
    config: Config,
    strategy: tf.distribute.Strategy,
    group: Cluster | None,
    examples: Examples,
    training: np.ndarray,
    validation: np.ndarray,
    same: Identity,
    start_step: int,
    since_step: int,
) -> tuple[Iterable[tuple], Iterable[tuple], Callable[[int], np.ndarray]]:
    """Held-out batches, training batches, and the indices of those of a step."""
    share = config.cache_mb * len(validation) // len(examples)
    common = {"preprocessing": identity.preprocessing(same), "batch_size": config.batch_size}

    def held_out(part: Part) -> tf.data.Dataset:
        chosen = validation[: config.batch_size] if config.dry_run else validation
        return pipeline.evaluation_batches(examples, chosen, cache_mb=share, part=part, **common)

    def batches(part: Part) -> tf.data.Dataset:
        return pipeline.training_batches(
            examples,
            training,
            seed=config.seed,
            start_step=start_step,
            cache_mb=config.cache_mb - share,
            part=part,
            mixup=config.mixup,
            cutmix=config.cutmix,
            since_step=since_step,
            **common,
        )

    def at(step: int) -> np.ndarray:
        positions = step * config.batch_size + np.arange(config.batch_size)
        since = since_step * config.batch_size
        return training[order.at(positions, len(training), config.seed, since=since)]

    if group is None:
        distribute = strategy.experimental_distribute_dataset
        return distribute(held_out(pipeline.WHOLE)), distribute(batches(pipeline.WHOLE)), at
    machines = len(group.workers)
    part = Part(group.index, machines, strategy.num_replicas_in_sync // machines)
    distribute = strategy.distribute_datasets_from_function
    return distribute(lambda _: held_out(part)), distribute(lambda _: batches(part)), at


def _strategy(
    config: Config, mirrored: bool, group: Cluster | None, out: Console
) -> tf.distribute.Strategy:
    if not config.train_data_path:
        raise UsageError(
            "--train_data_path must name the pictures, got nothing; give a folder of class "
            "folders, or --flagfile=config.cfg to begin with digits"
        )
    if group and config.dry_run:
        raise UsageError("--dry_run must be by one process, got several machines; try it on one")
    if mirrored and group:
        strategy = devices.several_machines(config.num_gpus, config.logical_devices)
    elif mirrored:
        strategy = devices.mirrored(config.num_gpus, config.logical_devices)
    elif config.logical_devices > 1 or config.num_gpus > 1 or group:
        several = f"{len(group.workers)} machines by TF_CONFIG" if group else "several"
        raise UsageError(f"train.py must have one device, got {several}; use multi_gpu_train.py")
    else:
        devices.check_gpus(config.num_gpus)
        strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % (replicas * config.accumulate):
        parts = f", and of the {config.accumulate} parts of --accumulate on each"
        raise UsageError(
            f"--batch_size must be a multiple of the {replicas} devices"
            f"{parts if config.accumulate > 1 else ''}, got {config.batch_size}"
        )
    loaders = replicas if group else 1  # each of which loads its own rows
    if (config.mixup or config.cutmix) and config.batch_size % (2 * loaders):
        raise UsageError(
            f"--batch_size must be a multiple of {2 * loaders} with --mixup or --cutmix, "
            f"which mix pictures in pairs, got {config.batch_size}"
        )
    if mirrored:
        names = ", ".join(name.split("device:")[-1] for name in strategy.extended.worker_devices)
        each = config.batch_size // replicas
        where = f" on each of {len(group.workers)} machines" if group else ""
        out.print(f"devices: {names}{where}, {each} of {config.batch_size} pictures a step on each")
    return strategy


def _check_leak(config: Config, examples: Examples, test: Examples) -> None:
    """Refuses to test on what was trained on, told by content."""
    if examples.digests is None or test.digests is None or config.allow_leak:
        return
    found = content.pairs(examples.digests, test.digests)
    if found:
        words = content.equations(
            [(shown(examples.names[a]), shown(test.names[b])) for a, b in found]
        )
        raise DataError(
            f"the same pictures in {shown(config.train_data_path)} and "
            f"{shown(config.test_data_path)} - {len(found)}: {words}; remove them from one, or "
            "--allow_leak"
        )


def _check_parts(config: Config, examples: Examples) -> None:
    """Refuses to validate on what was trained on, where the source names the parts."""
    if examples.digests is None or examples.validation is None or config.allow_leak:
        return
    training, held_out = (np.flatnonzero(examples.validation == part) for part in (False, True))
    found = content.pairs(examples.digests[training], examples.digests[held_out])
    if found:
        names = [shown(name) for name in examples.names]
        words = content.equations([(names[training[a]], names[held_out[b]]) for a, b in found])
        raise DataError(
            f"the same pictures in two parts of {shown(config.train_data_path)} - {len(found)}: "
            f"{words}; remove them from one, or --allow_leak"
        )


def _split(
    config: Config,
    examples: Examples,
    folder: RunFolder,
    out: Console,
    found: Checkpoint | None,
) -> tuple[np.ndarray, np.ndarray]:
    """The split of this run: drawn and recorded when it begins, read when it goes on."""
    parts = None
    if found is None:
        parts = split.draw(examples, config.validation_fraction, config.seed)
    elif config.accept_new_data and (words := split.changes(folder.split, examples)):
        out.print(f"  note: the data has changed, {words}; an epoch begins with it", style="dim")
        kept = run_folder.keep_split(folder, found.step)
        parts = split.renewed(kept, examples, config.validation_fraction, config.seed)
    if parts:
        with writing(folder.split):
            split.write(folder.split, examples, *parts)
            dataset.write_skipped(folder.path / "skipped.csv", examples.skipped)
    training, validation = split.read(folder.split, examples)
    if not len(validation):
        raise DataError(
            f"no validation pictures in {config.train_data_path} - no class has enough for "
            f"--validation_fraction={config.validation_fraction}; raise it or add pictures"
        )
    for note in split.notes(examples, training, validation):
        out.print(f"  note: {note}", style="dim")
    out.print(f"  {len(training):,} to train, {len(validation):,} to validate")
    return training, validation
