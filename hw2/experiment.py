"""The wiring: from settings to a trained model, and from a run folder to its scores."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from hw2 import config as settings
from hw2 import run_folder
from hw2.config import Config
from hw2.errors import DataError, RunError, UsageError
from hw2.input import pipeline, source, split
from hw2.input.examples import Examples
from hw2.input.preprocess import Preprocessing
from hw2.layers import norm
from hw2.layers.penalty import l2_penalty
from hw2.models import MODELS, summary
from hw2.run_folder import RunFolder
from hw2.training import checkpoints, devices, hooks
from hw2.training.checkpoints import Checkpoint
from hw2.training.learner import Learner
from hw2.training.loop import Run, every, fit
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
    console = Console(stderr=True)
    strategy = _strategy(config, mirrored)
    _build(config.model)  # an unknown name is an error before anything is written
    examples = _read(config.train_data_path, "train", console)
    description = settings.to_flagfile(config), examples.class_names
    folder = run_folder.begin(Path(settings.run_folder(config)), *description)
    training, validation = _split(config, examples, folder, console)
    preprocessing = _preprocessing(config, examples)
    identity = _identity(config, examples, preprocessing)
    found = run_folder.resume(folder, identity)
    run_folder.describe(folder, *description)  # what may change, such as the last step, has
    plateau = Plateau(config.halve_after, config.stop_after)
    run = Run(0, config.max_steps)
    with strategy.scope():
        learner = Learner(
            lambda: _model(identity, synchronized=config.sync_batch_norm),
            penalty=l2_penalty,
            ema_decay=config.ema_decay,
            seed=config.seed,
        )
        if found:
            _assign(learner.tensors, found.tensors(), found)
            plateau = Plateau(**{**found.state["plateau"], **_patience(config)})
            run.step = found.step
            console.print(f"going on from step {run.step} of {folder.path}", highlight=False)
        score = scorer(learner.averaged)
    image_shape = (config.image_size, config.image_size, examples.channels)
    console.print(summary.table(summary.summarize(learner.model, image_shape)))
    if plateau.exhausted:
        run.stop(f"no gain over {plateau.without_gain} evaluations")

    k = min(config.top_k, len(examples.class_names))
    held_out = strategy.experimental_distribute_dataset(
        pipeline.evaluation_batches(
            examples,
            validation,
            preprocessing,
            batch_size=config.batch_size,
            cache_mb=config.cache_mb,
        )
    )

    def validate() -> Scores:
        return score(held_out, k)

    def save(run: Run) -> None:
        tensors = {name: variable.numpy() for name, variable in learner.tensors.items()}
        state = {
            "identity": identity,
            "plateau": dataclasses.asdict(plateau),
            "stop_reason": run.stop_reason,
            "validation": dataclasses.asdict(run.validation),
            "train_data_path": config.train_data_path,
        }
        checkpoints.write(folder.checkpoints, run.step, tensors, state)
        best = plateau.best_step
        checkpoints.prune(folder.checkpoints, keep=config.keep_checkpoints, best_step=best)

    logger = hooks.Logger(
        folder.path,
        frequency=config.log_frequency,
        batch_size=config.batch_size,
        start=run.step,
        console=console,
    )
    first, started = run.step, time.perf_counter()
    with strategy.scope(), pipeline.naming_errors(), logger:
        batches = pipeline.training_batches(
            examples,
            training,
            preprocessing,
            batch_size=config.batch_size,
            seed=config.seed,
            start_step=run.step,
            cache_mb=config.cache_mb,
        )
        fit(
            run,
            learner.train_step,
            iter(strategy.experimental_distribute_dataset(batches)),
            rate=lambda step: config.learning_rate * plateau.scale,
            hooks=[
                hooks.stop_on_nan,
                every(config.save_checkpoint_steps, hooks.evaluation(validate, plateau)),
                logger,
                every(config.save_checkpoint_steps, save),
            ],
        )
    if run.step == first:
        console.print(f"already complete at step {run.step}: {run.stop_reason}", highlight=False)
    _finish(config, folder, run, plateau, time.perf_counter() - started, console)


def evaluate(config: Config) -> None:
    """Scores a run's checkpoint, each picture once, and prints one JSON line.

    Args:
      config: The settings. The validation part of the training data is scored unless
        `test_data_path` is given; with `run_once` off, again at each new checkpoint.

    Raises:
      Fault: With what is wrong and what to do.
    """
    if not config.checkpoint_dir:
        raise UsageError(
            "--checkpoint_dir must name a run folder, got nothing; "
            "give it the --log_path of the training"
        )
    console = Console(stderr=True)
    folder = run_folder.find(Path(config.checkpoint_dir))
    seen = None
    while True:
        checkpoint = run_folder.choose(folder, config.checkpoint)
        if checkpoint.step != seen:
            seen = checkpoint.step
            result = _evaluate(config, folder, checkpoint, config.test_data_path, console)
            _record(Path(config.eval_dir or folder.path / "eval"), result)
            print(json.dumps(result), flush=True)
        if config.run_once:
            return
        time.sleep(config.eval_interval_secs)


def _evaluate(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, data: str, console: Console
) -> dict[str, Any]:
    """Scores one checkpoint on `data`, or on the run's own validation part where that is ""."""
    identity = checkpoint.state["identity"]
    class_names = identity["class_names"]
    if data:
        examples = _read(data, "test", console, class_names)
        indices = np.arange(len(examples))
    else:
        examples = _read(checkpoint.state["train_data_path"], "train", console, class_names)
        _, indices = split.read(folder.split, examples)
    if config.num_examples > len(indices):
        raise DataError(
            f"too few pictures in {data or folder.split} - --num_examples={config.num_examples}, "
            f"there are {len(indices)}; give at most that, or 0 for all"
        )
    if config.num_examples:  # a fair sample: folders come class by class
        indices = np.random.default_rng(0).permutation(indices)[: config.num_examples]
    model = _model(identity)
    tensors = checkpoint.tensors()
    group = {"ema": "ema", "raw": "model"}[config.weights]
    wanted = {f"{group}/{name}": v for name, v in named_variables(model).items()}
    _assign(wanted, {name: tensors[name] for name in wanted if name in tensors}, checkpoint)
    batches = pipeline.evaluation_batches(
        examples,
        indices,
        Preprocessing(**identity["preprocessing"]),
        batch_size=config.batch_size,
    )
    k = min(config.top_k, len(class_names))
    with pipeline.naming_errors():
        scores = scorer(model)(batches, k)
    result = dataclasses.asdict(scores) | {"weights": config.weights, "step": checkpoint.step}
    console.print(
        f"step {checkpoint.step}, {config.weights} weights: top-1 {scores.top1:.4f}, "
        f"top-{k} {scores.topk:.4f}, loss {scores.loss:.4f} on {scores.num_examples} pictures",
        highlight=False,
    )
    return result


def _finish(
    config: Config,
    folder: RunFolder,
    run: Run,
    plateau: Plateau,
    seconds: float,
    console: Console,
) -> None:
    """Closes a training: a table, the next commands, the JSON line."""
    best = run_folder.choose(folder, "best")
    validation = best.state["validation"]
    result = {
        "val_top1": validation["top1"],
        "val_topk": validation["topk"],
        "k": validation["k"],
        "best_step": best.step,
        "step": run.step,
        "stop_reason": run.stop_reason,
        "seconds": round(seconds, 1),
    }
    if config.test_data_path:
        scores = _evaluate(
            dataclasses.replace(config, weights="ema", num_examples=0),
            folder,
            best,
            config.test_data_path,
            console,
        )
        result |= {"test_top1": scores["top1"], "test_topk": scores["topk"]}
    table = Table("result", "", box=None, show_header=False, pad_edge=False)
    for name, value in result.items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else str(value))
    console.print(table)
    data = f" --test_data_path={config.test_data_path}" if config.test_data_path else ""
    python = Path(sys.executable)
    python = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else "python"
    console.print(
        "next:\n"
        f"  {python} eval.py --checkpoint_dir={folder.path}{data} --top_k={validation['k']}\n"
        f"  {python.parent / 'tensorboard' if isinstance(python, Path) else 'tensorboard'} "
        f"--logdir={folder.path}\n"
        f"  {python} train.py --flagfile={folder.path / run_folder.FLAGS} --log_path=runs/again",
        highlight=False,
        soft_wrap=True,
    )
    print(json.dumps(result | {"log_path": str(folder.path)}), flush=True)


def _strategy(config: Config, mirrored: bool) -> tf.distribute.Strategy:
    if mirrored:
        strategy = devices.mirrored(config.num_gpus, config.logical_devices)
    elif config.logical_devices > 1 or config.num_gpus > 1:
        raise UsageError("train.py must have one device, got several; use multi_gpu_train.py")
    else:
        strategy = tf.distribute.get_strategy()
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % replicas:
        raise UsageError(
            f"--batch_size must be a multiple of the {replicas} devices, got {config.batch_size}"
        )
    return strategy


def _read(
    path: str, part: str, console: Console, class_names: Sequence[str] | None = None
) -> Examples:
    """Reads a data set and prints what it is; labels follow a model's class names if given."""
    examples = source.read(path, part)
    if class_names is not None:
        examples = examples.with_classes(class_names)
    console.print(
        f"{path}: {len(examples):,} pictures in {len(examples.class_names)} classes",
        highlight=False,
    )
    for note in examples.notes:
        console.print(f"  note: {note}", highlight=False, style="dim")
    return examples


def _split(
    config: Config, examples: Examples, folder: RunFolder, console: Console
) -> tuple[np.ndarray, np.ndarray]:
    """The split of this run: the one recorded, or a new one that is recorded."""
    if not folder.split.exists():
        parts = split.stratified(examples.labels, config.validation_fraction, config.seed)
        split.write(folder.split, examples, *parts)
    training, validation = split.read(folder.split, examples)
    if not len(validation):
        raise DataError(
            f"no validation pictures in {config.train_data_path} - no class has enough for "
            f"--validation_fraction={config.validation_fraction}; raise it or add pictures"
        )
    console.print(f"  {len(training):,} to train, {len(validation):,} to validate", highlight=False)
    return training, validation


def _preprocessing(config: Config, examples: Examples) -> Preprocessing:
    return Preprocessing(
        image_size=config.image_size,
        channels=examples.channels,
        short_side=config.short_side,
        crop_size=config.crop_size,
        flip=config.flip,
        brightness=config.brightness,
        contrast_min=config.contrast_min,
        contrast_max=config.contrast_max,
    )


def _identity(config: Config, examples: Examples, preprocessing: Preprocessing) -> dict[str, Any]:
    """What makes a run the same training, and what its model needs to be built again."""
    return {
        "model": config.model,
        "l2": config.l2,
        "class_names": list(examples.class_names),
        "preprocessing": dataclasses.asdict(preprocessing),
        "seed": config.seed,
        "batch_size": config.batch_size,
        "ema_decay": config.ema_decay,
    }


def _patience(config: Config) -> dict[str, int]:
    return {"halve_after": config.halve_after, "stop_after": config.stop_after}


def _build(name: str):
    if name not in MODELS:
        raise UsageError(f"--model must be one of {', '.join(MODELS)}, got {name!r}")
    return MODELS[name]


def _model(identity: dict[str, Any], *, synchronized: bool = False) -> tf.Module:
    preprocessing = identity["preprocessing"]
    size = preprocessing["image_size"]
    model = _build(identity["model"])(
        (size, size, preprocessing["channels"]),
        len(identity["class_names"]),
        seed=identity["seed"],
        l2=identity["l2"],
    )
    if synchronized:
        norm.synchronize(model)
    return model


def _assign(
    variables: dict[str, tf.Variable], values: dict[str, np.ndarray], checkpoint: Checkpoint
) -> None:
    """Sets variables by name, all or none."""
    wrong = sorted(variables.keys() ^ values.keys()) + [
        name
        for name in variables.keys() & values.keys()
        if tuple(variables[name].shape) != values[name].shape
    ]
    if wrong:
        raise RunError(
            f"another model in {checkpoint.path} - {len(wrong)} variables differ: "
            f"{', '.join(wrong[:5])}; give the --model and sizes it was trained with"
        )
    for name, variable in variables.items():
        variable.assign(values[name])


def _record(folder: Path, result: dict[str, Any]) -> None:
    """Appends an evaluation to `eval.jsonl` and to TensorBoard's events."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "eval.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")
    except OSError as error:
        raise RunError(
            f"cannot write in {folder} - {error.strerror}; give --eval_dir another folder"
        ) from error
    hooks.write_scalars(folder, result["step"], {n: result[n] for n in ("top1", "topk", "loss")})
