"""The learning rate as a function of the steps done."""

from __future__ import annotations

import dataclasses
import math

NAMES = ("constant", "steps", "cosine", "inverse_time")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The learning rate as a function of the steps done.

    It rises linearly during the warm-up, whose last step has the full rate. After that it stays
    constant ("constant"), is multiplied by `factor` at each milestone ("steps"), falls along half a
    cosine to 0 at the last step ("cosine"), or is divided by 1 + `decay` * steps since the warm-up
    ("inverse_time").

    Source: warm-up, Goyal et al., 2017, arxiv.org/abs/1706.02677; cosine, Loshchilov and Hutter,
    2016, arxiv.org/abs/1608.03983.

    Attributes:
      rate: The learning rate after the warm-up.
      last_step: The step at which training ends.
      kind: One of `NAMES`.
      warmup: How many steps the warm-up takes.
      milestones: Steps at which the rate is multiplied, in rising order.
      factor: What the rate is multiplied by at each milestone.
      decay: How fast the rate falls, for "inverse_time".
    """

    rate: float
    last_step: int
    kind: str = "constant"
    warmup: int = 0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    decay: float = 0.0

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
        if self.kind == "inverse_time":
            return self.rate / (1 + self.decay * (step - self.warmup))
        passed = sum(step >= milestone for milestone in self.milestones)
        return self.rate * self.factor**passed if self.kind == "steps" else self.rate
