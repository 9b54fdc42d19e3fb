"""The wiring: from settings to a trained model, and from a run folder to its scores."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2 import closing, cluster, command, identity, ops, run_folder, session
from hw2 import config as settings
from hw2.cluster import Cluster
from hw2.config import Config
from hw2.errors import DataError, Interrupted, RunError, UsageError, writing
from hw2.identity import Identity
from hw2.input import bar, builtin, content, disk_cache, order, pipeline, source, split
from hw2.input.examples import Examples
from hw2.input.pipeline import Part
from hw2.input.rules import Rules, default_cache_folder
from hw2.models import summary
from hw2.ops import fusion
from hw2.run_folder import RunFolder
from hw2.training import checkpoints, devices, environment, lock, losses, rate_finder, signals
from hw2.training import progress as progresses
from hw2.training.checkpoints import Checkpoint
from hw2.training.hooks import Evaluation
from hw2.training.learner import Learner
from hw2.training.logger import Logger, write_scalars
from hw2.training.loop import Hook, Run, every, fit
from hw2.training.metrics import Scores, scorer
from hw2.training.progress import Progress, Unfinished
from hw2.training.saving import Saver, restore
from hw2.training.signals import Signals
from hw2.training.step import Steps
from hw2.training.variables import named_variables


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
    out = _console(quiet=not chief)
    config = dataclasses.replace(
        config,
        train_data_path=_lasting(config.train_data_path),
        test_data_path=_lasting(config.test_data_path),
        disk_cache=_lasting(config.disk_cache),
    )
    identity.check_model(config)  # mistakes are errors before anything is written
    devices.configure(threads=config.threads, deterministic=config.deterministic)
    strategy = _strategy(config, mirrored, group, out)
    with command.without_noise():
        fusion.warm_up()
    examples = _read(config, config.train_data_path, "train", out)
    identity.prepared(config, examples.channels)  # says what does not fit the data
    test = None
    if config.test_data_path:
        test = _read(config, config.test_data_path, "test", out, examples.class_names)
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
    new_data = found is not None and since == found.step
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
    out.print(summary.table(summary.summarize(learner.model, identity.image_shape(same))))
    if run.stop_reason is None and chief:
        run_folder.describe(folder, *description)  # a later last step, or another rate
    held_out, batches, names = _batches(
        config, strategy, group, examples, training, validation, same, run.step, since
    )
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
    saver = None
    if chief:
        rest = {"identity": same, "train_data_path": config.train_data_path} | recorded
        logger, saver = _writers(config, folder, run, learner, progress, evaluation, rest, out)
        stack.enter_context(logger)
        saver.saved_step = found.step if found else None
        everything += [logger, every(steps_between, saver)]
    schedule = session.schedule(config, len(training), last_step)
    try:
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
        tensorboard=config.tensorboard,
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
        judge = _Evaluator(
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
    closing.show(result, commands, out)


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
) -> tuple[Iterable[tuple], Iterable[tuple], Callable[[int], list[str]]]:
    """Held-out batches, training batches, and the names of those of a step."""
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

    def names(step: int) -> list[str]:
        positions = step * config.batch_size + np.arange(config.batch_size)
        since = since_step * config.batch_size
        chosen = training[order.at(positions, len(training), config.seed, since=since)]
        return [examples.names[index] for index in chosen]

    if group is None:
        distribute = strategy.experimental_distribute_dataset
        return distribute(held_out(pipeline.WHOLE)), distribute(batches(pipeline.WHOLE)), names
    machines = len(group.workers)
    part = Part(group.index, machines, strategy.num_replicas_in_sync // machines)
    distribute = strategy.distribute_datasets_from_function
    return distribute(lambda _: held_out(part)), distribute(lambda _: batches(part)), names


@devices.told_of_machines()
def evaluate(config: Config) -> None:
    """Scores a run's checkpoint, each picture once, and prints one JSON line.

    Args:
      config: The settings. The validation part of the training data is scored unless
        `test_data_path` is given; with `run_once` off, each new checkpoint as it comes.

    Raises:
      Fault: With what is wrong and what to do.
    """
    out = _console()
    folder = run_folder.find(Path(config.checkpoint_dir or settings.run_folder(config)))
    evaluator, seen = None, None
    while True:
        names = [path.name for path in checkpoints.listing(folder.checkpoints)]
        if config.run_once or (names and names[-1] != seen):
            checkpoint, tensors = run_folder.choose(
                folder, config.checkpoint if config.run_once else "last"
            )
            evaluator = evaluator or _evaluator(config, folder, checkpoint, out)
            with ops.algorithm(config.conv_algorithm):
                scores = evaluator(checkpoint, tensors, config.weights)
            _record(config, folder, checkpoint, scores, out)
            seen = checkpoint.path.name
        elif seen is None:
            out.print(f"waiting for the first checkpoint of {folder.path}")
            seen = ""
        if config.run_once:
            return
        time.sleep(config.eval_interval_secs)


class _Evaluator:
    """Scores checkpoints of one run on one data set; the model is built and traced once."""

    def __init__(
        self,
        same: Identity,
        examples: Examples,
        indices: np.ndarray,
        batch_size: int,
        k: int,
        loss: str,
    ):
        self._model = identity.model(same, load_pretrained=False)
        self._score, self._k = scorer(self._model, losses.LOSSES[loss]), k
        self._batches = pipeline.evaluation_batches(
            examples, indices, identity.preprocessing(same), batch_size=batch_size, cache_mb=0
        )

    def __call__(
        self, checkpoint: Checkpoint, tensors: Mapping[str, np.ndarray], weights: str
    ) -> Scores:
        group = {"ema": "ema/", "raw": "model/"}[weights]
        values = {n.removeprefix(group): v for n, v in tensors.items() if n.startswith(group)}
        if not values:
            raise RunError(
                f"no {weights} weights in {checkpoint.path} - it was written without them; "
                f"give --weights={'raw' if weights == 'ema' else 'ema'}"
            )
        restore(named_variables(self._model), values, checkpoint)
        with pipeline.naming_errors():
            return self._score(self._batches, self._k)


def _evaluator(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, out: Console
) -> _Evaluator:
    """Scores on the test data, or where there is none on the run's own validation part."""
    same = checkpoint.state["identity"]
    class_names = same["class_names"]
    if config.test_data_path:
        examples = _read(config, config.test_data_path, "test", out, class_names)
        indices = np.arange(len(examples))
    else:
        path = config.train_data_path or checkpoint.state["train_data_path"]
        examples = _read(config, path, "train", out, class_names)
        _, indices = split.read(folder.split, examples)
    if config.num_examples > len(indices):
        raise DataError(
            f"too few pictures in {config.test_data_path or folder.split} - "
            f"--num_examples={config.num_examples}, there are {len(indices)}; "
            "give at most that, or 0 for all"
        )
    if config.num_examples:  # a fair sample: folders come class by class
        indices = np.random.default_rng(0).permutation(indices)[: config.num_examples]
    k = min(config.top_k, len(class_names))
    loss = checkpoint.state["settings"].get("loss", config.loss)
    return _Evaluator(same, examples, indices, config.batch_size, k, loss)


def _record(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, scores: Scores, out: Console
) -> None:
    """Prints an evaluation, appends it to `eval.jsonl`, and draws it in TensorBoard."""
    data = _lasting(config.test_data_path) or "validation"
    result = scores.plain() | {
        "mean_class_top1": scores.mean_class_top1,
        "weights": config.weights,
        "step": checkpoint.step,
        "data": data,
    }
    out.print(
        f"step {checkpoint.step}, {config.weights} weights, {data}: top-1 {scores.top1:.4f}, "
        f"top-{scores.k} {scores.topk:.4f}, loss {scores.loss:.4f} on {scores.num_examples} "
        "pictures"
    )
    path = Path(config.eval_dir or folder.path / "eval")
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        with (path / "eval.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")
        _write_classes(path / "per_class.csv", checkpoint.state["identity"], scores)
    part = "test" if config.test_data_path else "validation"
    figures = {"top1": scores.top1, "topk": scores.topk, "loss": scores.loss}
    write_scalars(path, checkpoint.step, {f"{part}/{n}": v for n, v in figures.items()})
    print(json.dumps(result), flush=True)


def _write_classes(file: Path, same: Identity, scores: Scores) -> None:
    """Top-1 of each class, of the last evaluation."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as new:
        rows = csv.writer(new)
        rows.writerow(("class", "pictures", "right", "top1"))
        for name, (right, count) in zip(same["class_names"], scores.by_class, strict=True):
            rows.writerow((name, count, right, right / count if count else ""))
    os.replace(partial, file)


def _console(*, quiet: bool = False) -> Console:
    """For people, on stderr; names of files are never read as markup, nor lines broken in logs."""
    return Console(
        stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True, quiet=quiet
    )


def _lasting(path: str) -> str:
    """A path that means the same from any folder; names of built-in data stay."""
    if not path or path in builtin.NAMES:
        return path
    try:
        return os.path.abspath(os.path.expanduser(path))
    except FileNotFoundError:
        raise UsageError(
            f"cannot tell where {path} is - the working folder is gone; go to one that is there"
        ) from None


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


def _read(
    config: Config, path: str, part: str, out: Console, class_names: Sequence[str] | None = None
) -> Examples:
    """Reads a data set and prints what it is; labels follow a model's class names if given."""
    names = {field.name for field in dataclasses.fields(Rules)} & vars(config).keys()
    rules = Rules(
        **{name: getattr(config, name) for name in names}, cache_folder=default_cache_folder()
    )
    with bar.reporting(f"scanning {path}", out) as report:
        examples = source.read(path, part, rules, class_names=class_names, report=report)
    if class_names is not None:
        examples = examples.with_classes(class_names)
    if config.disk_cache:
        examples = disk_cache.kept(
            examples, _lasting(config.disk_cache), warn=lambda text: out.print(f"warning: {text}")
        )
    out.print(f"{path}: {len(examples):,} pictures in {len(examples.class_names)} classes")
    for note in examples.notes:
        out.print(f"  note: {note}", style="dim")
    return examples


def _check_leak(config: Config, examples: Examples, test: Examples) -> None:
    """Refuses to test on what was trained on, told by content."""
    if examples.digests is None or test.digests is None or config.allow_leak:
        return
    found = content.pairs(examples.digests, test.digests)
    if found:
        words = content.equations([(examples.names[a], test.names[b]) for a, b in found])
        raise DataError(
            f"the same pictures in {config.train_data_path} and {config.test_data_path} - "
            f"{len(found)}: {words}; remove them from one, or --allow_leak"
        )


def _write_skipped(path: Path, examples: Examples) -> None:
    """Names the bad pictures that were left out, each with its reason."""
    if examples.skipped:
        with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            csv.writer(file).writerows([("name", "reason"), *examples.skipped])


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
            _write_skipped(folder.path / "skipped.csv", examples)
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
