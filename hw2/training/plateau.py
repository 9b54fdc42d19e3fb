"""Which evaluation is the best, when the rate is halved for want of a gain, and when to stop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence


@dataclasses.dataclass
class Plateau:
    """Halves the learning rate, and finally stops, when the score no longer rises.

    The rate is halved each time that `halve_after` evaluations in a row bring no gain. A gain
    starts the count again and leaves the rate as it is. 0 switches either off.
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
        if self.halve_after > 0 and self.without_gain % self.halve_after == 0:
            self.scale /= 2

    def restart(self) -> None:
        """Forgets the scores, which were of other images; the rate stays as it is."""
        self.best, self.best_step, self.without_gain = None, -1, 0

    @property
    def exhausted(self) -> bool:
        """Whether training should stop."""
        return 0 < self.stop_after <= self.without_gain


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
