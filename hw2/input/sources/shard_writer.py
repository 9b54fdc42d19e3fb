"""Writes any data set as TFRecord shards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from hw2.errors import DataError, writing
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files.names import shown
from hw2.input.sources import records

PARTIAL = ".partial"  # suffix of shards that are being written


def write(examples: Examples, folder: str | os.PathLike[str], *, shard_mb: int = 256) -> list[str]:
    """Writes examples as shards, in an order that mixes the classes, with an index beside them.

    Args:
      examples: The examples to write.
      folder: A new or empty folder.
      shard_mb: Approximate size of a shard, in MB.

    Returns:
      Paths of the shards.

    Raises:
      DataError: The folder is not empty.
      RunError: It cannot be written.
      ValueError: The images can only be loaded, not copied as the bytes of files.
    """
    content = examples.content
    if content is None:
        raise ValueError("examples must give the content of each image, got content=None.")
    folder = os.fspath(folder)
    with writing(folder):
        os.makedirs(folder, exist_ok=True)
        if os.listdir(folder):
            raise DataError(f"no room in {shown(folder)} - the folder is not empty; give a new one")
        order = np.random.Generator(np.random.Philox(0)).permutation(len(examples))
        shards = _shards(examples, content, order, folder, shard_mb)
        partial, places, names, indices = [], [], [], []
        try:
            for number, (path, rows) in enumerate(shards):
                partial.append(path)
                for index, start, length in rows:
                    places.append((number, start, length))
                    names.append(examples.names[index])
                    indices.append(index)
        except BaseException:  # after Ctrl-C too: leftovers would be in the way of the next attempt
            for name in os.listdir(folder):
                if name.endswith(PARTIAL):
                    os.remove(os.path.join(folder, name))
            raise
        count = len(partial)
        paths = [
            os.path.join(folder, f"pictures-{number:05d}-of-{count:05d}.tfrecord")
            for number in range(count)
        ]
        for old, new in zip(partial, paths, strict=True):
            os.replace(old, new)
        classes = labelling.texts(examples.labels[indices], examples.class_names)
        records._Index(
            paths,
            np.array(places, records.PLACE),
            names,
            classes,
            examples.class_names,
            several=examples.several,
        ).save(os.path.join(folder, records.INDEX))
    return paths


def _shards(
    examples: Examples,
    content: Callable[[int], bytes],
    order: np.ndarray,
    folder: str,
    shard_mb: int,
) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """Writes shard after shard; yields its path, and index, start and length of its records."""
    at, number = 0, 0
    while at < len(order):
        path = os.path.join(folder, f".{number:05d}{PARTIAL}")
        rows, size = [], 0
        with tf.io.TFRecordWriter(path) as writer:
            while at < len(order) and size < shard_mb * 2**20:
                index = int(order[at])
                numbers = labelling.of(examples.labels, index)
                record = records.example(
                    content(index),
                    [examples.class_names[label] for label in numbers],
                    numbers,
                    examples.names[index],
                    several=examples.several,
                )
                writer.write(record)
                rows.append((index, size + records.HEAD, len(record)))
                size += records.HEAD + len(record) + records.TAIL
                at += 1
        number += 1
        yield path, rows
