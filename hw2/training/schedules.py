"""The learning rate as a function of the steps done."""

from __future__ import annotations

import dataclasses
import math

NAMES = ("constant", "steps", "cosine", "one_cycle", "inverse_time")
# Of "one_cycle", the defaults of PyTorch's OneCycleLR, which are those of fastai.
RISE = 0.3  # share of the steps in which the rate rises
START = 1 / 25  # the rate before the first step, as a share of the highest
END = START / 1e4  # the same of the last step


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The learning rate as a function of the steps done.

    It rises linearly during the warm-up, whose last step has the full rate. After that it stays
    constant ("constant"), is multiplied by `factor` at each milestone ("steps"), falls along half a
    cosine that would reach 0 one step after the last ("cosine"), or is divided by 1 + `decay` *
    steps since the warm-up ("inverse_time").

    "one_cycle" rises along half a cosine from a 25th of the rate, in the warm-up or, where there is
    none, in 0.3 of all steps, and then falls along half a cosine to a 250,000th at the last step.
    It equals PyTorch's OneCycleLR with its defaults, but leaves the momentum as it is.

    Source: warm-up, Goyal et al., 2017, arxiv.org/abs/1706.02677; cosine, Loshchilov and Hutter,
    2016, arxiv.org/abs/1608.03983; one cycle, Smith and Topin, 2017, arxiv.org/abs/1708.07120.

    Attributes:
      rate: The learning rate after the warm-up, which is the highest.
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
        if self.kind == "one_cycle":
            return self.rate * self._share_of_cycle(step)
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        if self.kind == "cosine":
            whole = max(self.last_step - self.warmup, 1)
            return self.rate * _half_cosine(1.0, 0.0, (step - self.warmup) / whole)
        if self.kind == "inverse_time":
            return self.rate / (1 + self.decay * (step - self.warmup))
        passed = sum(step >= milestone for milestone in self.milestones)
        return self.rate * self.factor**passed if self.kind == "steps" else self.rate

    def _share_of_cycle(self, step: int) -> float:
        """The rate of "one_cycle" as a share of the highest, which step `peak` has."""
        peak = max((self.warmup or RISE * self.last_step) - 1, 0)
        if step < peak:
            return _half_cosine(START, 1.0, step / peak)
        return _half_cosine(1.0, END, (step - peak) / max(self.last_step - 1 - peak, 1))


def _half_cosine(start: float, end: float, done: float) -> float:
    """Goes from `start` to `end` while `done` goes from 0 to 1, and stays there."""
    return end + (start - end) * (1 + math.cos(math.pi * min(done, 1.0))) / 2
