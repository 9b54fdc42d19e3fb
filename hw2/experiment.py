"""The wiring: from settings to a trained model, and from a run folder to its scores."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2 import closing, identity, ops, run_folder
from hw2 import config as settings
from hw2.config import Config
from hw2.errors import DataError, RunError, UsageError, writing
from hw2.identity import Identity
from hw2.input import builtin, pipeline, source, split
from hw2.input.examples import Examples
from hw2.layers import norm
from hw2.layers.penalty import l2_penalty
from hw2.models import summary
from hw2.run_folder import RunFolder
from hw2.training import checkpoints, devices
from hw2.training.checkpoints import Checkpoint
from hw2.training.hooks import Evaluation, stop_on_nan
from hw2.training.learner import Learner
from hw2.training.logger import Logger, write_scalars
from hw2.training.loop import Hook, Run, every, fit
from hw2.training.metrics import Scores, scorer
from hw2.training.schedules import Plateau
from hw2.training.variables import named_variables


def train(config: Config, *, mirrored: bool = False) -> None:
    """Trains, or goes on training, the run in the run folder; prints one JSON line at the end.

    Args:
      config: The settings.
      mirrored: Whether to train on several devices.

    Raises:
      Fault: With what is wrong and what to do.
    """
    started = time.perf_counter()
    out = _console()
    config = dataclasses.replace(
        config,
        train_data_path=_lasting(config.train_data_path),
        test_data_path=_lasting(config.test_data_path),
    )
    identity.check_model(config)  # mistakes are errors before anything is written
    strategy = _strategy(config, mirrored, out)
    examples = _read(config.train_data_path, "train", out)
    test = None
    if config.test_data_path:
        test = _read(config.test_data_path, "test", out, examples.class_names)
    description = settings.to_flagfile(config, Path(sys.argv[0]).name), examples.class_names
    folder = run_folder.begin(Path(settings.run_folder(config)), *description)
    found = checkpoints.newest(folder.checkpoints, set_aside=True)
    training, validation = _split(config, examples, folder, out, new=found is None)
    same = identity.of(config, examples, folder.split)
    if found:
        run_folder.check_same(found, same, folder)

    with strategy.scope(), ops.algorithm(config.conv_algorithm), pipeline.naming_errors():
        learner = Learner(
            lambda: _synchronized(
                identity.model(same, load_pretrained=found is None), config.sync_batch_norm
            ),
            penalty=l2_penalty,
            ema_decay=config.ema_decay,
            seed=config.seed,
        )
        run, plateau, best = _resume(config, learner, found)
        if found:
            out.print(f"going on from step {run.step} of {folder.path}")
        out.print(summary.table(summary.summarize(learner.model, identity.image_shape(same))))
        if run.stop_reason is None:
            run_folder.describe(folder, *description)  # a later last step, or another rate
        share = config.cache_mb * len(validation) // len(examples)
        held_out = pipeline.evaluation_batches(
            examples,
            validation,
            identity.preprocessing(same),
            batch_size=config.batch_size,
            cache_mb=share,
        )
        batches = pipeline.training_batches(
            examples,
            training,
            identity.preprocessing(same),
            batch_size=config.batch_size,
            seed=config.seed,
            start_step=run.step,
            cache_mb=config.cache_mb - share,
        )
        held_out, batches = map(strategy.experimental_distribute_dataset, (held_out, batches))
        score, k = scorer(learner.averaged), min(config.top_k, len(examples.class_names))
        evaluation = Evaluation(lambda: score(held_out, k), plateau, best)
        save = _saver(config, folder, learner, same, plateau, evaluation)
        logger = Logger(
            folder.path,
            run,
            frequency=config.log_frequency,
            batch_size=config.batch_size,
            out=out,
        )
        with logger, _words_on_interrupt(run, folder, out):
            fit(
                run,
                learner.train_step,
                iter(batches),
                rate=lambda step: config.learning_rate * plateau.scale,
                hooks=[
                    stop_on_nan,
                    every(config.save_checkpoint_steps, evaluation),
                    logger,
                    every(config.save_checkpoint_steps, save),
                ],
            )
    if found and run.step == found.step:
        out.print(f"already complete at step {run.step}: {run.stop_reason}")

    result = {
        "val_top1": evaluation.best.top1,
        "val_topk": evaluation.best.topk,
        "k": evaluation.best.k,
        "best_step": plateau.best_step,
        "step": run.step,
        "stop_reason": run.stop_reason,
        "seconds": round(time.perf_counter() - started, 1),
        "log_path": str(folder.path),
    }
    if test:
        checkpoint, tensors = run_folder.choose(folder, "best")
        judge = _Evaluator(same, test, np.arange(len(test)), config.batch_size, result["k"])
        with ops.algorithm(config.conv_algorithm):
            scores = judge(checkpoint, tensors, "ema")
        result |= {"test_top1": scores.top1, "test_topk": scores.topk}
    commands = closing.next_commands(folder.path, config.test_data_path, result["k"])
    closing.show(result, commands, out)


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
        self, same: Identity, examples: Examples, indices: np.ndarray, batch_size: int, k: int
    ):
        self._model = identity.model(same, load_pretrained=False)
        self._score, self._k = scorer(self._model), k
        self._batches = pipeline.evaluation_batches(
            examples, indices, identity.preprocessing(same), batch_size=batch_size, cache_mb=0
        )

    def __call__(
        self, checkpoint: Checkpoint, tensors: Mapping[str, np.ndarray], weights: str
    ) -> Scores:
        group = {"ema": "ema/", "raw": "model/"}[weights]
        values = {n.removeprefix(group): v for n, v in tensors.items() if n.startswith(group)}
        _assign(named_variables(self._model), values, checkpoint)
        with pipeline.naming_errors():
            return self._score(self._batches, self._k)


def _evaluator(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, out: Console
) -> _Evaluator:
    """Scores on the test data, or where there is none on the run's own validation part."""
    same = checkpoint.state["identity"]
    class_names = same["class_names"]
    if config.test_data_path:
        examples = _read(config.test_data_path, "test", out, class_names)
        indices = np.arange(len(examples))
    else:
        path = config.train_data_path or checkpoint.state["train_data_path"]
        examples = _read(path, "train", out, class_names)
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
    return _Evaluator(same, examples, indices, config.batch_size, k)


def _record(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, scores: Scores, out: Console
) -> None:
    """Prints an evaluation, appends it to `eval.jsonl`, and draws it in TensorBoard."""
    data = _lasting(config.test_data_path) or "validation"
    result = dataclasses.asdict(scores) | {
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
    part = "test" if config.test_data_path else "validation"
    figures = {"top1": scores.top1, "topk": scores.topk, "loss": scores.loss}
    write_scalars(path, checkpoint.step, {f"{part}/{n}": v for n, v in figures.items()})
    print(json.dumps(result), flush=True)


def _console() -> Console:
    """For people, on stderr; names of files are never read as markup, nor lines broken in logs."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


def _lasting(path: str) -> str:
    """A path that means the same from any folder; names of built-in data stay."""
    return os.path.abspath(os.path.expanduser(path)) if path and path not in builtin.NAMES else path


def _strategy(config: Config, mirrored: bool, out: Console) -> tf.distribute.Strategy:
    if not config.train_data_path:
        raise UsageError(
            "--train_data_path must name the pictures, got nothing; give a folder of class "
            "folders, or --flagfile=config.cfg to begin with digits"
        )
    if mirrored:
        strategy = devices.mirrored(config.num_gpus, config.logical_devices)
    elif config.logical_devices > 1 or config.num_gpus > 1:
        raise UsageError("train.py must have one device, got several; use multi_gpu_train.py")
    else:
        devices.check_gpus(config.num_gpus)
        strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise UsageError(
            f"--batch_size must be a multiple of the {replicas} devices, got {config.batch_size}"
        )
    if mirrored:
        names = ", ".join(name.split("device:")[-1] for name in strategy.extended.worker_devices)
        each = config.batch_size // replicas
        out.print(f"devices: {names}, {each} of {config.batch_size} pictures a step on each")
    return strategy


def _read(path: str, part: str, out: Console, class_names: Sequence[str] | None = None) -> Examples:
    """Reads a data set and prints what it is; labels follow a model's class names if given."""
    examples = source.read(path, part)
    if class_names is not None:
        examples = examples.with_classes(class_names)
    out.print(f"{path}: {len(examples):,} pictures in {len(examples.class_names)} classes")
    for note in examples.notes:
        out.print(f"  note: {note}", style="dim")
    return examples


def _split(
    config: Config, examples: Examples, folder: RunFolder, out: Console, *, new: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The split of this run: drawn and recorded when it begins, read when it goes on."""
    if new:
        parts = split.stratified(examples.labels, config.validation_fraction, config.seed)
        with writing(folder.split):
            split.write(folder.split, examples, *parts)
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


def _synchronized(model: tf.Module, wanted: bool) -> tf.Module:
    if wanted:
        norm.synchronize(model)
    return model


def _resume(
    config: Config, learner: Learner, found: Checkpoint | None
) -> tuple[Run, Plateau, Scores | None]:
    """Puts everything where the checkpoint has it."""
    run, plateau = Run(0, config.max_steps), Plateau(config.halve_after, config.stop_after)
    if found is None:
        return run, plateau, None
    _assign(learner.tensors, found.tensors(), found)
    plateau = Plateau(**found.state["plateau"])
    plateau.halve_after, plateau.stop_after = config.halve_after, config.stop_after
    best = found.state["best"] and Scores(**found.state["best"])
    run.step = found.step
    if plateau.exhausted:
        run.stop(f"no gain over {plateau.without_gain} evaluations")
    elif run.step >= run.last_step:
        run.stop(f"--max_steps={run.last_step} is reached")
    return run, plateau, best


def _saver(
    config: Config,
    folder: RunFolder,
    learner: Learner,
    same: Identity,
    plateau: Plateau,
    evaluation: Evaluation,
) -> Hook:
    """A hook that writes a checkpoint and removes old ones."""

    def save(run: Run) -> None:
        state = {
            "identity": same,
            "plateau": dataclasses.asdict(plateau),
            "best": evaluation.best and dataclasses.asdict(evaluation.best),
            "validation": dataclasses.asdict(run.validation),
            "train_data_path": config.train_data_path,
        }
        tensors = {name: variable.numpy() for name, variable in learner.tensors.items()}
        checkpoints.write(folder.checkpoints, run.step, tensors, state)
        checkpoints.prune(
            folder.checkpoints, keep=config.keep_checkpoints, best_step=plateau.best_step
        )

    return save


@contextlib.contextmanager
def _words_on_interrupt(run: Run, folder: RunFolder, out: Console) -> Iterator[None]:
    """Says on Ctrl-C what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        saved = checkpoints.listing(folder.checkpoints)
        kept = f"goes on from {saved[-1].name}" if saved else "begins again"
        out.print(f"stopped in step {run.step + 1}; the same command {kept}")
        raise


def _assign(
    variables: dict[str, tf.Variable], values: Mapping[str, np.ndarray], checkpoint: Checkpoint
) -> None:
    """Sets variables by name, all or none."""
    wrong = sorted(variables.keys() ^ values.keys()) + [
        name
        for name in sorted(variables.keys() & values.keys())
        if tuple(variables[name].shape) != values[name].shape
    ]
    if wrong:
        raise RunError(
            f"another model in {checkpoint.path} - {len(wrong)} variables differ: "
            f"{', '.join(wrong[:5])}; give the --model and sizes it was trained with"
        )
    for name, variable in variables.items():
        variable.assign(values[name])
