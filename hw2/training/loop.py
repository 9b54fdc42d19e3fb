"""The training loop, and when its hooks are called."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import tensorflow as tf

from hw2.training.multilabel import AnyScores


@dataclasses.dataclass
class Run:
    """What a hook sees. `fit` owns it and refreshes it at every step."""

    step: int  # steps completed since training began, resumes included
    last_step: int
    rate: float = 0.0  # learning rate of the last step
    seconds: float = 0.0  # the last step took, its wait for data included
    waited: float = 0.0  # seconds of them that it waited for data
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)  # of the last step
    validation: AnyScores | None = None  # of the averaged weights, when this step was evaluated
    stop_reason: str | None = None
    hooks_due: bool = False  # whether the last step's hooks have not all returned yet

    def stop(self, reason: str) -> None:
        """Asks `fit` to return once this step's hooks have all run."""
        self.stop_reason = self.stop_reason or reason


class Hook(Protocol):
    """Anything called between steps, in plain Python, outside the graph.

    If a hook is interrupted, all hooks of that step are called again when training resumes.
    """

    def __call__(self, run: Run) -> None: ...


def fit(
    run: Run,
    step: Callable[..., dict[str, tf.Tensor]],
    batches: Iterator[Any],
    *,
    rate: Callable[[int], float],
    hooks: Sequence[Hook],
    check: Callable[[], None] = lambda: None,
) -> None:
    """Trains until the last step, or until a hook asks to stop.

    Args:
      run: Where to begin and end; changed in place. If its hooks are due, they come first.
      step: Called as `step(batch, step=, rate=)`; returns scalars.
      batches: The batches from `run.step` on.
      rate: Learning rate by steps done before.
      hooks: Called in order after every step.
      check: Called before every step; may raise to end training there.
    """
    _call(hooks, run)
    while run.step < run.last_step and run.stop_reason is None:
        check()
        start = time.perf_counter()
        run.rate = rate(run.step)
        batch = next(batches)
        run.waited = time.perf_counter() - start
        metrics = step(batch, step=run.step, rate=run.rate)
        run.metrics = {name: float(value) for name, value in metrics.items()}  # waits for them
        run.seconds = time.perf_counter() - start
        run.step += 1
        run.validation = None
        run.hooks_due = True
        _call(hooks, run)
    run.stop(f"reached step {run.step}")


def every(n: int, hook: Hook) -> Hook:
    """Calls the hook at each n-th step and at the last."""

    def call(run: Run) -> None:
        if run.step % n == 0 or run.step == run.last_step:
            hook(run)

    return call


def _call(hooks: Sequence[Hook], run: Run) -> None:
    if run.hooks_due:
        for hook in hooks:
            hook(run)
        run.hooks_due = False
