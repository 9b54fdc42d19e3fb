"""Saves checkpoints while training runs, and restores variables from them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hw2.errors import RunError
from hw2.runs import checkpoints, retention
from hw2.runs.checkpoints import Checkpoint
from hw2.training.loop import Run


class Saver:
    """A hook that writes a checkpoint and removes old ones; to be called last in each step."""

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, tf.Variable],
        state: Callable[[Run, bool], dict[str, Any]],
        best_step: Callable[[], int],
        *,
        keep: int,
        keep_every: int = 0,
        stop_on_error: bool = True,
        refused: Callable[[int], None] = lambda step: None,
    ):
        """Makes the hook. Set `saved_step` if the run is resumed from a checkpoint.

        Args:
          folder: The folder of the checkpoints.
          variables: The variables to save, by name.
          state: Function from the run, and whether its hooks are due, to what else a checkpoint
            records, as JSON.
          best_step: Returns the step of the best checkpoint; -1 for none.
          keep: How many checkpoints to keep.
          keep_every: See `retention.prune`.
          stop_on_error: Whether a full disk ends the training before its last step, where it
            always does.
          refused: Called with a step that has no checkpoint because the disk refused it, if
            training goes on.
        """
        self._folder, self._variables, self._state = folder, variables, state
        self._best_step, self._keep, self._keep_every = best_step, keep, keep_every
        self._stop_on_error, self._refused = stop_on_error, refused
        self.saved_step: int | None = None

    def __call__(self, run: Run) -> None:
        """Writes a checkpoint of this step.

        Raises:
          NotFinite: The weights have diverged.
          RunError: The disk refuses the checkpoint.
        """
        try:
            self._save(run, unfinished=False)
        except RunError as error:
            if self._stop_on_error or run.step == run.last_step or run.stop_reason:
                raise
            warnings.warn(f"{error}; this training tries again at its next save", stacklevel=1)
            self._refused(run.step)

    def finish(self, run: Run) -> None:
        """Writes a checkpoint where training stops, unless this step has one already.

        The process that wrote it may have been killed before it removed old ones.
        """
        if run.step != self.saved_step:
            self._save(run, unfinished=run.hooks_due)
        elif run.step:
            self._prune()

    def _save(self, run: Run, *, unfinished: bool) -> None:
        tensors = {name: variable.numpy() for name, variable in self._variables.items()}
        checkpoints.write(self._folder, run.step, tensors, self._state(run, unfinished))
        self.saved_step = run.step
        self._prune()

    def _prune(self) -> None:
        try:
            retention.prune(
                self._folder,
                keep=self._keep,
                keep_every=self._keep_every,
                best_step=self._best_step(),
            )
        except OSError as error:
            warnings.warn(f"old checkpoints stay in {self._folder}: {error}", stacklevel=1)


def restore(
    variables: Mapping[str, tf.Variable], values: Mapping[str, np.ndarray], checkpoint: Checkpoint
) -> None:
    """Sets variables to values by name, all or none.

    Raises:
      RunError: Names are missing, not expected, or of another shape.
    """
    words = differences(variables, values)
    if words:
        raise RunError(
            f"another model in {checkpoint.path} - {words}; "
            "give the --model, sizes and --optimizer it was trained with"
        )
    for name, variable in variables.items():
        variable.assign(values[name])


def differences(variables: Mapping[str, tf.Variable], values: Mapping[str, np.ndarray]) -> str:
    """Says which names are missing, not expected or of another shape; "" if none is."""
    shapes = [
        f"{name} is {list(values[name].shape)}, the model's {list(variables[name].shape)}"
        for name in sorted(variables.keys() & values.keys())
        if tuple(variables[name].shape) != values[name].shape
    ]
    kinds = {
        "missing": sorted(variables.keys() - values.keys()),
        "not expected": sorted(values.keys() - variables.keys()),
        "of another shape": shapes,
    }
    words = [
        f"{len(names)} {kind}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for kind, names in kinds.items()
        if names
    ]
    return "; ".join(words)
