"""What a training needs before it opens its run folder: settings, devices, data."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import UsageError
from hw2.input import pipeline
from hw2.input.examples import Examples, check_kind
from hw2.input.scanning.troubles import Trouble, Troubles
from hw2.jobs import class_weights, data, groups, leaks, multilabel, spec
from hw2.jobs.convolution import convolving
from hw2.machines import devices
from hw2.machines.cluster import Cluster
from hw2.machines.workers import Workers
from hw2.ops import conv
from hw2.runs.checkpoints import Checkpoint
from hw2.training import trackers


@contextlib.contextmanager
def resolved(config: Config) -> Iterator[Config]:
    """Yields the settings with absolute paths; a dry run gets one step in a temporary folder."""
    config = settings.absolute(config)
    if not config.dry_run:
        yield config
        return
    with tempfile.TemporaryDirectory() as folder:
        yield dataclasses.replace(
            config, log_path=f"{folder}/run", max_steps=1, epochs=0, fresh=False
        )


def workers(config: Config, cluster: Cluster, *, mirrored: bool, out: Console) -> Workers:
    """Sets up the devices that the settings ask for, and connects the workers of a cluster.

    Args:
      config: The settings.
      cluster: The workers.
      mirrored: Whether to train on several devices, or machines.
      out: Where people read.

    Raises:
      UsageError: A setting of the model, the devices or the batch size cannot be.
      MachineError: Another worker did not come.
    """
    spec.check_model(config)
    devices.configure(threads=config.threads, deterministic=config.deterministic)
    _check_usage(config, cluster, mirrored)
    trackers.check(config.tracker)
    strategy = _strategy(config, cluster, mirrored)
    _check_batch_size(config, cluster, strategy.num_replicas_in_sync)
    if mirrored:
        names = ", ".join(name.split("device:")[-1] for name in strategy.extended.worker_devices)
        each = config.batch_size // strategy.num_replicas_in_sync
        where = f" on each of {len(cluster.workers)} machines" if cluster.several else ""
        out.print(f"devices: {names}{where}, {each} of {config.batch_size} pictures a step on each")
    conv.prepare(config.conv_algorithm, config.product)
    return Workers(cluster, strategy)


def read_data(config: Config, out: Console) -> tuple[Examples, Examples | None]:
    """Reads the training data and the test data, and checks them before anything is written.

    Returns:
      The training data, of which a part will be held out, and the test data, if there are any.

    Raises:
      UsageError: The settings of the preprocessing do not fit the data.
      DataError: The data cannot be used, or a picture is both in training and in test data.
    """
    found: list[Trouble] = []
    notes: list[str] = []

    def tried(path: str, part: str, *known: Any) -> Examples:
        """Reads one of them; of what is in trouble, what is left, to look at the other too."""
        try:
            return data.read_examples(config, path, part, out, *known)
        except Troubles as trouble:
            if trouble.examples is None:
                raise
            found.extend(trouble.found)
            notes.extend(trouble.notes)
            return trouble.examples

    train, test = tried(config.train_data_path, "train"), None
    spec.preprocessing_options(config, train.channels)
    class_weights.check(config, train.class_names)
    multilabel.check(config, train)
    leak = leaks.leak_of_parts(config, train)
    found += [leak] if leak else []
    if config.test_data_path:
        test = tried(config.test_data_path, "test", train.class_names, train.scale)
        check_kind(test, train.several, f"the test data {config.test_data_path}")
        multilabel.check_labels(test, np.arange(len(test)), config.test_data_path)
        leak = leaks.leak(config, train, test)
        found += [leak] if leak else []
    if not found:
        found += groups.leaks(config, train, test, out)
    if found:
        raise Troubles(config.train_data_path, found, notes, train, _command())
    return train, test


def _command() -> list[str]:
    """The words of the command that is running, to be typed again with more flags."""
    script, *words = sys.argv
    if Path(script).name in ("hw2", "__main__.py"):
        return ["hw2", *words]
    return ["python", script, *words]


@contextlib.contextmanager
def computing(
    config: Config, strategy: tf.distribute.Strategy, found: Checkpoint | None
) -> Iterator[None]:
    """Puts the strategy, the convolution algorithm and checks of values in force for the block."""
    with (
        strategy.scope(),
        convolving(config, found, recompute=config.recompute_patches, training=True),
        pipeline.naming_errors(),
    ):
        if not config.check_numerics:
            yield
            return
        tf.debugging.enable_check_numerics()
        try:
            yield
        finally:
            tf.debugging.disable_check_numerics()


def _check_usage(config: Config, cluster: Cluster, mirrored: bool) -> None:
    """Refuses missing data, and settings that need another script or a single machine."""
    if not config.train_data_path:
        raise UsageError(
            "--train_data_path must name the pictures, got nothing; give a folder of class "
            "folders, or --flagfile=config.cfg to begin with digits"
        )
    if cluster.several and config.dry_run:
        raise UsageError("--dry_run must run on one machine, got several; leave out TF_CONFIG")
    if not mirrored and (config.logical_devices > 1 or config.num_gpus > 1 or cluster.several):
        count = len(cluster.workers)
        several = f"{count} machines by TF_CONFIG" if cluster.several else "several"
        raise UsageError(f"train.py must have one device, got {several}; use multi_gpu_train.py")


def _strategy(config: Config, cluster: Cluster, mirrored: bool) -> tf.distribute.Strategy:
    if not mirrored:
        devices.check_gpus(config.num_gpus)
        return tf.distribute.get_strategy()
    make = devices.several_machines if cluster.several else devices.mirrored
    return make(config.num_gpus, config.logical_devices)


def _check_batch_size(config: Config, cluster: Cluster, replicas: int) -> None:
    """Refuses a batch size that cannot be divided among the devices, or into pairs to mix."""
    if config.batch_size % (replicas * config.accumulate):
        parts = f", and of the {config.accumulate} parts of --accumulate on each"
        raise UsageError(
            f"--batch_size must be a multiple of the {replicas} devices"
            f"{parts if config.accumulate > 1 else ''}, got {config.batch_size}"
        )
    loaders = replicas if cluster.several else 1  # each of them loads its own rows of a batch
    if (config.mixup or config.cutmix) and config.batch_size % (2 * loaders):
        raise UsageError(
            f"--batch_size must be a multiple of {2 * loaders} with --mixup or --cutmix, "
            f"which mix pictures in pairs, got {config.batch_size}"
        )
