"""What else decides the last bits of a result: versions, threads, devices."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Environment = dict[str, Any]


def describe(strategy: tf.distribute.Strategy, *, deterministic: bool) -> Environment:
    """Says what this process runs on and with, as plain JSON.

    Args:
      strategy: Of the training.
      deterministic: Whether only kernels run that always round alike.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or cores,
        "deterministic": deterministic,
        "replicas": strategy.num_replicas_in_sync,
        "device": _device(),
    }


def _device() -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names what differs, one sentence part each: "threads was 2, is 4"."""
    return [
        f"{name} was {before.get(name)}, is {now[name]}"
        for name in now
        if before.get(name) != now[name]
    ]


def warning(changed: Sequence[str]) -> str:
    """What to tell the user who goes on with something changed."""
    return (
        f"not bit for bit the run that was stopped - {'; '.join(changed)}; "
        "the training goes on, and records it"
    )
