"""Finds where a training becomes infinite or NaN, and explains it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from hw2.errors import NotFinite, UsageError

_DETECTED = re.compile(r'in output \d+ of (?:eagerly-executing|graph) op "?(\w+)"?')
_NODE = re.compile(r"\{\{node ([^}]+?)(?:_\d+)?\}\}")
_CHECK = "DebugNumericSummaryV2"  # the operation of TensorFlow's check, which XLA has not
SHOWN = 5  # pictures named in a message


@dataclasses.dataclass(frozen=True)
class Finding:
    """The first operation whose result is not finite, and the rows of the batch it is from."""

    operation: str | None
    rows: tuple[int, ...]


def first_not_finite(function: Callable[[], object]) -> str | None:
    """Calls a function with every operation checked; it must trace its graph anew.

    Returns:
      The first operation whose result was not finite, with its place in the model, or None.
    """
    tf.debugging.enable_check_numerics()
    try:
        function()
    except tf.errors.InvalidArgumentError as error:
        operation = operation_in(error)
        if operation is None:  # it failed in another way
            raise
        return operation
    finally:
        tf.debugging.disable_check_numerics()
    return None


def operation_in(error: tf.errors.OpError) -> str | None:
    """The operation that an error of `tf.debugging.enable_check_numerics` names, if it does."""
    found = _DETECTED.search(error.message)
    if not found:
        return None
    node = _NODE.search(error.message)
    place = f" ({node[1].removesuffix('/CheckNumericsV2')})" if node else ""
    return found[1] + place


def is_compiled(error: tf.errors.OpError) -> bool:
    """Whether a check failed because XLA compiles what it was to look into."""
    return _CHECK in error.message and "XLA" in error.message


@contextlib.contextmanager
def naming_operation(step: int) -> Iterator[None]:
    """Turns an error of `--check_numerics` in a step into `NotFinite`.

    Raises:
      NotFinite: An operation has made a value that is not finite.
      UsageError: The model compiles a part of itself, which cannot be checked.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if is_compiled(error):
            raise UsageError(
                "--check_numerics cannot look into a part of the model that XLA compiles - "
                "TensorFlow's check is no operation of XLA; call that part without "
                "jit_compile=True, or leave out --check_numerics"
            ) from error
        operation = operation_in(error)
        if operation is None:
            raise
        raise NotFinite(
            f"a value is not finite in step {step + 1} - first in {operation}; the last "
            "checkpoint is intact: lower --learning_rate, or give --clip_norm"
        ) from error


def message(
    finding: Finding | None, loss: float, *, step: int, rate: float, names: Sequence[str]
) -> str:
    """Makes the message about a step that was not taken.

    Args:
      finding: Where a value became not finite, if that was looked for.
      loss: The loss of the step, which may be finite although a gradient is not.
      step: The step, counted from 1.
      rate: The learning rate.
      names: Names of the pictures in the batch.
    """
    what = f"loss is {loss}" if not math.isfinite(loss) else "a gradient is not finite"
    place = f", first in {finding.operation}" if finding and finding.operation else ""
    rows = finding.rows if finding and len(finding.rows) < len(names) else ()
    pictures = [names[row] for row in rows] or list(names)
    shown = ", ".join(pictures[:SHOWN]) + (", ..." if len(pictures) > SHOWN else "")
    whose = "in the pictures" if rows else "in the batch of"
    return (
        f"{what} in step {step}{place}, {whose} {shown} - the step at learning rate {rate:g} was "
        "not taken, and the last checkpoint is intact; look at the pictures if they are few, "
        "else lower --learning_rate or give --clip_norm, and start again"
    )
