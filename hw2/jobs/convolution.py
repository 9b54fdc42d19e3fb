"""How a run convolves: the same way at each of its starts, so that results are bit-identical."""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hw2 import ops
from hw2.config.settings import Config
from hw2.ops import fusion, own, timing
from hw2.runs.checkpoints import Checkpoint
from hw2.terminal import noise

RECORD = "conv_choices"  # in a checkpoint's state: the algorithm of each convolution, by shape
OWN = "own_functions"  # likewise: SHA-256 of the file of each of the user's functions, by name


@contextlib.contextmanager
def convolving(
    config: Config,
    found: Checkpoint | None,
    *,
    recompute: bool = False,
    training: bool = False,
) -> Iterator[None]:
    """Makes every convolution in the block take the algorithm that the run has taken so far.

    A run whose checkpoints record none was begun before there was a compiled kernel. It keeps the
    algorithms written in TensorFlow operations. A run that was trained by functions of the user's
    is evaluated by them, unless the settings name another algorithm.

    Args:
      config: The settings; their `conv_algorithm` is "auto" unless it is to be another.
      found: A checkpoint of the run; None if it is new.
      recompute: As for `hw2.ops.algorithm`.
      training: Whether the settings are those of a training, which it may change.

    Raises:
      UsageError: A function of the user's cannot be found.
    """
    recorded = found.state.get(RECORD) if found else {}
    name, product = config.conv_algorithm, config.product
    if found and not training and name == "auto" and not product:
        name, product = _of_run(found)
    if name == "auto" and recorded is None and not product:
        name = "tensorflow_ops"
    timing.use(recorded or {})
    with noise.without_noise():
        fusion.warm_up()
    with ops.algorithm(name, recompute=recompute, product=product):
        if found:
            _warn_of_changes(found, (name, product))
        yield


def record(config: Config, found: Checkpoint | None) -> dict[str, Any]:
    """What a checkpoint records of the convolutions that were traced until now."""
    begun_without = found is not None and found.state.get(RECORD) is None
    choices = {RECORD: None if begun_without else timing.choices()}
    digests = _digests((config.conv_algorithm, config.product))
    return choices | ({OWN: digests} if digests else {})


def _of_run(found: Checkpoint) -> tuple[str, str]:
    """The user's functions that a run was trained by: a convolution, or "auto", and a product."""
    of_run = found.state.get("settings", {})
    name = of_run.get("conv_algorithm", "auto")
    return name if own.is_own(name) else "auto", of_run.get("product", "")


def _warn_of_changes(found: Checkpoint, names: tuple[str, str]) -> None:
    """Warns if the file of a user's function is another than that of the training."""
    before = found.state.get(OWN, {})
    for name, digest in _digests(names).items():
        if before.get(name, digest) != digest:
            warnings.warn(
                f"{own.source(name)} has changed since {found.path} was written; "
                f"results by {name} may differ",
                stacklevel=2,
            )


def _digests(names: tuple[str, str]) -> dict[str, str]:
    """SHA-256 of the files of those names that are functions of the user's."""
    files = {name: own.source(name) for name in names if own.is_own(name)}
    return {n: hashlib.sha256(Path(f).read_bytes()).hexdigest() for n, f in files.items() if f}
