"""What a training needs before its first step: devices, a checkpoint, batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import RunError, UsageError
from hw2.input import pipeline, split
from hw2.input.examples import Examples
from hw2.input.pipeline import Part
from hw2.input.stream import order
from hw2.jobs import spec
from hw2.jobs.spec import Identity
from hw2.machines import devices
from hw2.machines.cluster import Cluster
from hw2.runs import checkpoints, compatibility
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.training import progress as progresses


def make_strategy(
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


def find_checkpoint(
    folder: RunFolder, examples: Examples, *, set_aside: bool = False
) -> Checkpoint | None:
    """The newest good checkpoint, which must have the classes of the data."""
    found = checkpoints.newest(folder.checkpoints, set_aside=set_aside, check=progresses.check)
    if found:
        compatibility.check_classes(found, examples.class_names, folder)
    return found


def agree(
    strategy: tf.distribute.Strategy, folder: RunFolder, examples: Examples
) -> tuple[Checkpoint | None, np.ndarray, np.ndarray]:
    """Reads what the first worker has written, on all; they must see the same."""
    devices.barrier(strategy)
    found = find_checkpoint(folder, examples)
    steps = devices.barrier(strategy, found.step if found else -1)
    if steps[0] != steps[1]:
        raise RunError(
            f"not one run folder in {folder.path} - workers see checkpoints of steps {steps[0]} "
            f"and {steps[1]}; give all a --log_path on one disk that they share"
        )
    return found, *split.read(folder.split, examples)


def make_batches(
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
    common = {"preprocessing": spec.preprocessing(same), "batch_size": config.batch_size}

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
