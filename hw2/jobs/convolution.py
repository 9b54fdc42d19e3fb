"""How a run convolves: the same way at each of its starts, so that results are bit-identical."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from hw2 import ops
from hw2.config.settings import Config
from hw2.ops import timing
from hw2.runs.checkpoints import Checkpoint

RECORD = "conv_choices"  # in a checkpoint's state: the algorithm of each convolution, by shape


@contextlib.contextmanager
def convolving(
    config: Config, found: Checkpoint | None, *, recompute: bool = False
) -> Iterator[None]:
    """Makes every convolution in the block take the algorithm that the run has taken so far.

    A run whose checkpoints record none was begun before there was a compiled kernel. It keeps the
    algorithms written in TensorFlow operations.

    Args:
      config: The settings; their `conv_algorithm` is "auto" unless it is to be another.
      found: A checkpoint of the run; None if it is new.
      recompute: As for `hw2.ops.algorithm`.
    """
    recorded = found.state.get(RECORD) if found else {}
    name = config.conv_algorithm
    if name == "auto" and recorded is None:
        name = "tensorflow_ops"
    timing.use(recorded or {})
    with ops.algorithm(name, recompute=recompute):
        yield


def record(found: Checkpoint | None) -> dict[str, Any]:
    """What a checkpoint records of the convolutions that were traced until now."""
    begun_without = found is not None and found.state.get(RECORD) is None
    return {RECORD: None if begun_without else timing.choices()}
