"""Writes a data set as TFRecord shards.

    hw2 shard FOLDER OUT
    hw2 shard LIST.csv OUT --shard_mb=512

The first path, or --train_data_path, is any source of labelled pictures; OUT, or --output, is a
new folder. The bytes of each picture file are kept as they are, and arrays become PNG. OUT is
then a source like any other: `hw2 train OUT`. A validation part of the data is one of OUT too.
"""

from __future__ import annotations

import os
import sys

from hw2.commands.command import Command, Own
from hw2.config.fields import setting
from hw2.config.rules import at_least, one_of
from hw2.config.settings import Config
from hw2.errors import UsageError
from hw2.input import source
from hw2.input.files.names import shown
from hw2.input.files.rules import among
from hw2.terminal import progress_bar


def _shard(config: Config, own: Own) -> None:
    from hw2.input.sources import shard_writer  # imports TensorFlow

    data = config.train_data_path
    rules = among(vars(config))
    with progress_bar.reporting(f"scanning {shown(data)}") as report:
        examples = source.read(data, own.part, rules, report=report)
    paths = shard_writer.write(examples, config.output, shard_mb=own.shard_mb)
    for note in examples.notes:
        print(f"note: {note}", file=sys.stderr)
    size = sum(map(os.path.getsize, paths))
    print(f"{len(examples):,} pictures in {len(paths)} shards, {size / 2**20:.1f} MB")


def _check(config: Config) -> None:
    if not config.train_data_path or not config.output:
        raise UsageError("two paths must be given, the data and a new folder - hw2 shard PATH OUT")


COMMAND = Command(
    __doc__,
    _shard,
    words=("train_data_path", "output"),
    check=_check,
    flags={
        "part": setting("train", "of data that has several", one_of(*source.PARTS)),
        "shard_mb": setting(256, "approximate size of a shard", at_least(1)),
    },
    reads=(
        "train_data_path",
        "output",
        "on_bad_file",
        "max_bad_fraction",
        "skip_conflicts",
        "skip_empty_class",
        "levels",
    ),
)
