"""The versions, threads and devices that a training runs on, which can change its last bits."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Environment = dict[str, Any]


def describe(strategy: tf.distribute.Strategy, *, deterministic: bool) -> Environment:
    """Describes the environment of this process, as plain JSON.

    Args:
      strategy: The strategy of the training.
      deterministic: Whether only kernels run that round the same way every time.
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
    """Lists the values that differ, such as "threads was 2, is 4"."""
    return [
        f"{name} was {before.get(name)}, is {now[name]}"
        for name in now
        if before.get(name) != now[name]
    ]


def warning(changed: Sequence[str]) -> str:
    """Makes the warning for a run that is resumed with different values."""
    return (
        f"not bit-identical to the run that was stopped - {'; '.join(changed)}; "
        "the training resumes, and records this"
    )
