"""Writes any data set as TFRecord shards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from hw2.errors import DataError, RunError, writing
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files.names import shown
from hw2.input.sources import records

PARTIAL = ".partial"  # suffix of shards that are being written


def write(examples: Examples, folder: str | os.PathLike[str], *, shard_mb: int = 256) -> list[str]:
    """Writes examples as shards, in an order that mixes the classes, with an index beside them.

    Where the source itself assigns some to validation, each part has shards of its own, whose names
    say which, so that they are read as they were.

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
        parts: list[str] = []  # paths of what is written, and what they become
        paths: list[str] = []
        places, names, indices = [], [], []
        try:
            for part, order in _parts(examples).items():
                partial: list[str] = []
                for path, rows in _shards(examples, content, order, folder, part, shard_mb):
                    number = len(paths) + len(partial)
                    partial.append(path)
                    for index, start, length in rows:
                        places.append((number, start, length))
                        names.append(_name(examples, index))
                        indices.append(index)
                count = len(partial)
                parts += partial
                paths += [
                    os.path.join(folder, f"{part}-{number:05d}-of-{count:05d}.tfrecord")
                    for number in range(count)
                ]
        except BaseException as error:  # after Ctrl-C too: no leftovers for the next attempt
            for name in os.listdir(folder):
                if name.endswith(PARTIAL):
                    os.remove(os.path.join(folder, name))
            if isinstance(error, tf.errors.OpError):  # what TensorFlow makes of an OSError
                raise RunError(
                    f"cannot write {shown(folder)} - {error.message}; make room, or give another "
                    "folder"
                ) from error
            raise
        for old, new in zip(parts, paths, strict=True):
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


def _parts(examples: Examples) -> dict[str, np.ndarray]:
    """The examples of each part, mixed, by the word that the names of its shards begin with."""
    parts = {"pictures": np.arange(len(examples))}
    if examples.validation is not None:
        parts = {
            "train": np.flatnonzero(~examples.validation),
            "validation": np.flatnonzero(examples.validation),
        }
    draw = np.random.Generator(np.random.Philox(0))
    return {part: draw.permutation(indices) for part, indices in parts.items()}


def _name(examples: Examples, index: int) -> str:
    """The name of an example, without the part that `joined` has put before it."""
    name = examples.names[index]
    return name if examples.validation is None else name.partition("/")[2]


def _shards(
    examples: Examples,
    content: Callable[[int], bytes],
    order: np.ndarray,
    folder: str,
    part: str,
    shard_mb: int,
) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """Writes shard after shard; yields its path, and index, start and length of its records."""
    at, number = 0, 0
    while at < len(order):
        path = os.path.join(folder, f".{part}-{number:05d}{PARTIAL}")
        rows, size = [], 0
        with tf.io.TFRecordWriter(path) as writer:
            while at < len(order) and size < shard_mb * 2**20:
                index = int(order[at])
                numbers = labelling.of(examples.labels, index)
                record = records.example(
                    content(index),
                    [examples.class_names[label] for label in numbers],
                    numbers,
                    _name(examples, index),
                    several=examples.several,
                )
                writer.write(record)
                rows.append((index, size + records.HEAD, len(record)))
                size += records.HEAD + len(record) + records.TAIL
                at += 1
        number += 1
        yield path, rows
