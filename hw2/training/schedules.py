"""How the learning rate follows the validation accuracy."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass
class Plateau:
    """Halves the rate, and stops, when evaluations bring no gain.

    The rate is halved once for each `halve_after` evaluations without gain in a row; a gain
    starts the count again and leaves the rate where it is.
    """

    halve_after: int
    stop_after: int
    best: float | None = None
    best_step: int = -1
    without_gain: int = 0
    scale: float = 1.0  # of the learning rate

    def update(self, score: float, step: int) -> None:
        """Takes one more evaluation; a score that is not a number is no gain."""
        if math.isfinite(score) and (self.best is None or score > self.best):
            self.best, self.best_step, self.without_gain = score, step, 0
            return
        self.without_gain += 1
        if self.without_gain % self.halve_after == 0:
            self.scale /= 2

    @property
    def exhausted(self) -> bool:
        """Whether training should stop."""
        return self.without_gain >= self.stop_after
