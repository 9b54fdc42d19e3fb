"""Training steps with checks: a loss that is not finite, or a signal, ends the training."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Callable, Sequence

import tensorflow as tf

from hw2.errors import Interrupted, NotFinite
from hw2.machines.signals import Signals
from hw2.training import numerics
from hw2.training.learner import Learner


class Steps:
    """Takes the steps of a learner, in which all processes agree on whether to stop."""

    def __init__(
        self,
        learner: Learner,
        signals: Signals,
        *,
        names: Callable[[int], Sequence[str]],
        alone: bool = True,
    ):
        """Wraps a learner.

        Args:
          learner: The learner.
          signals: Signals that ask this process to stop.
          names: From steps done before to the names of the pictures in the next batch.
          alone: Whether this is the only process.
        """
        self._learner, self._signals, self._names = learner, signals, names
        self._alone, self._agreed = alone, False
        self.batch: tuple | None = None  # of the last step

    def __call__(self, batch: tuple, *, step: int, rate: float) -> dict[str, float]:
        """Takes a step; see `Learner.train_step`.

        Raises:
          NotFinite: The loss or a gradient is not finite; nothing was changed.
        """
        leave = self._signals.received is not None
        self.batch = batch
        with numerics.naming_operation(step):
            result = self._learner.train_step(batch, step=step, rate=rate, leave=leave)
            metrics = {name: float(value) for name, value in result.items()}
        self._agreed = metrics.pop("leave") > 0
        if not metrics.pop("finite"):
            raise NotFinite(
                numerics.message(
                    self._finding(batch, step),
                    metrics["loss"],
                    step=step + 1,
                    rate=rate,
                    names=self._names(step),
                )
            )
        return metrics

    def _finding(self, batch: tuple, step: int) -> numerics.Finding | None:
        if not self._alone:  # the others would not take part in a second run
            return None
        try:
            return self._learner.not_finite(batch, step=step)
        except tf.errors.OpError as error:  # the message is good enough without it
            why = error.message.strip().splitlines()[0]
            if numerics.is_compiled(error):
                why = "XLA compiles a part of the model, where no operation can be looked at"
            warnings.warn(f"the first value that is not finite was not found: {why}", stacklevel=1)
            return None

    def check(self) -> None:
        """Stops the training here if a signal has come to any of its processes.

        Raises:
          Interrupted: A signal has come.
        """
        if self._alone:
            self._signals.check()
        elif self._agreed:
            raise Interrupted(self._signals.received or signal.SIGTERM)

    def release_signals(self) -> None:
        """Lets signals end this process at once, now that there is nothing left to save.

        With several processes signals keep waiting, since the others would wait for this one.

        Raises:
          Interrupted: A signal has come since the last `check`.
        """
        if self._alone:
            self._signals.raise_at_once()
