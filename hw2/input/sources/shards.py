"""TFRecord shards, found without TensorFlow where there is none."""

from __future__ import annotations

import os
import types


def find(path: str, part: str) -> list[str]:
    """Shards at a path, without TensorFlow where there is none."""
    names = [os.path.basename(path)] if os.path.isfile(path) else os.listdir(path)
    if not any(name.endswith((".tfrecord", ".tfrecords")) or "-of-" in name for name in names):
        return []
    return reader().shards(path, part)


def reader() -> types.ModuleType:
    """What reads them; it brings TensorFlow, which scanning a folder does not need."""
    from hw2.input.sources import records

    return records
