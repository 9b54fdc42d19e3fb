"""The learning rate: its schedule by steps, and the rule that lowers it on a plateau."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

NAMES = ("constant", "steps", "cosine")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The learning rate as a function of the steps done.

    It rises linearly during the warm-up, whose last step has the full rate. After that it stays
    constant ("constant"), is multiplied by `factor` at each milestone ("steps"), or falls along
    half a cosine to 0 at the last step ("cosine").

    Source: warm-up, Goyal et al., 2017, arxiv.org/abs/1706.02677; cosine, Loshchilov and Hutter,
    2016, arxiv.org/abs/1608.03983.

    Attributes:
      rate: The learning rate after the warm-up.
      last_step: The step at which training ends.
      kind: One of `NAMES`.
      warmup: How many steps the warm-up takes.
      milestones: Steps at which the rate is multiplied, in rising order.
      factor: What the rate is multiplied by at each milestone.
    """

    rate: float
    last_step: int
    kind: str = "constant"
    warmup: int = 0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1

    def __post_init__(self):
        if self.kind not in NAMES:
            raise ValueError(f"schedule must be one of {', '.join(NAMES)}, got {self.kind!r}.")

    def __call__(self, step: int) -> float:
        """The rate of the step that follows `step` others."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        if self.kind == "cosine":
            whole = max(self.last_step - self.warmup, 1)
            done = min((step - self.warmup) / whole, 1.0)
            return self.rate * (1 + math.cos(math.pi * done)) / 2
        passed = sum(step >= milestone for milestone in self.milestones)
        return self.rate * self.factor**passed if self.kind == "steps" else self.rate


@dataclasses.dataclass
class Plateau:
    """Halves the learning rate, and finally stops, when the score no longer rises.

    The rate is halved each time that `halve_after` evaluations in a row bring no gain. A gain
    starts the count again and leaves the rate as it is.
    """

    halve_after: int
    stop_after: int
    best: float | None = None
    best_step: int = -1
    without_gain: int = 0
    scale: float = 1.0  # of the learning rate

    def update(self, score: float, step: int) -> None:
        """Records the score of an evaluation; a score that is not a number is no gain."""
        if math.isfinite(score) and (self.best is None or score > self.best):
            self.best, self.best_step, self.without_gain = score, step, 0
            return
        self.without_gain += 1
        if self.without_gain % self.halve_after == 0:
            self.scale /= 2

    def restart(self) -> None:
        """Forgets the scores, which were of other images; the rate stays as it is."""
        self.best, self.best_step, self.without_gain = None, -1, 0

    @property
    def exhausted(self) -> bool:
        """Whether training should stop."""
        return self.without_gain >= self.stop_after


def replay(
    plateau: Plateau, scores: Iterable[tuple[int, float]], restarts: Sequence[int] = ()
) -> list[int]:
    """Takes a plateau through the evaluations of a run, as the training did.

    Args:
      plateau: A new one; it ends as the training has it.
      scores: Step and score of each evaluation, in order.
      restarts: Steps after which the run continued on other images, in order.

    Returns:
      The steps at which the rate was halved.
    """
    pending, halved = list(restarts), []
    for step, score in scores:
        while pending and pending[0] < step:
            plateau.restart()
            pending.pop(0)
        before = plateau.scale
        plateau.update(score, step)
        if plateau.scale < before:
            halved.append(step)
    if pending:
        plateau.restart()
    return halved
