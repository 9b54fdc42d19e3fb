"""What machines do when they fail: memory runs out, or another worker is lost."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from hw2.errors import MachineError


@contextlib.contextmanager
def check_device_errors(*, several: bool = False) -> Iterator[None]:
    """Turns TensorFlow's errors of memory and of connections into a `MachineError` with a remedy.

    Args:
      several: Whether other machines take part, whose connections may be lost.

    Raises:
      MachineError: Memory has run out, or another worker cannot be reached.
    """
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        found = re.search(r"OOM when allocating tensor with (shape\S+)", str(error))
        raise MachineError(
            f"out of memory - {f'no room for {found[1]}' if found else 'none is left'}; lower "
            "--batch_size, or raise --accumulate to take it in parts, and rerun the command: the "
            "last checkpoint is intact"
        ) from error
    except (
        tf.errors.UnavailableError,
        tf.errors.DeadlineExceededError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.InternalError,
    ) as error:
        named = _tasks(error.message)
        if not several or (isinstance(error, tf.errors.InternalError) and not named):
            raise
        # The first worker reports on the cluster: when it is lost, no message names a worker.
        lost = ", ".join(named) or "/job:worker/replica:0/task:0"
        raise MachineError(
            f"lost {lost} - it ended, froze, or cannot be reached; look at its own messages, and "
            "restart all workers: they resume from the last checkpoint"
        ) from error


def _tasks(message: str) -> list[str]:
    """The tasks that a message names, by their full names if it has any."""
    full = re.findall(r"/job:worker/replica:\d+/task:\d+", message)
    return sorted(set(full or re.findall(r"/job:worker/task:\d+", message)))
