"""The progress of a training: what a checkpoint records besides its tensors and the spec."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from hw2.training.metrics import Scores
from hw2.training.multilabel import MultilabelScores
from hw2.training.plateau import Plateau


@dataclasses.dataclass
class Unfinished:
    """The metrics of a step whose hooks were interrupted, for example in the evaluation."""

    loss: float
    accuracy: float
    rate: float


@dataclasses.dataclass
class Progress:
    """How far a training has come.

    Attributes:
      plateau: The rule that watches the validation accuracy.
      best: Scores at `plateau.best_step`; None before the first evaluation.
      validation: Scores of this step, if it was evaluated.
      unlogged: Loss and accuracy of the steps since the last row of the log.
      unfinished: The last step, if its hooks are yet to be called.
    """

    plateau: Plateau
    best: Scores | MultilabelScores | None = None
    validation: Scores | MultilabelScores | None = None
    unlogged: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    unfinished: Unfinished | None = None

    def to_state(self) -> dict[str, Any]:
        """The progress as plain JSON; scores are without their many classes."""
        scores = {
            name: value and value.plain()
            for name, value in (("best", self.best), ("validation", self.validation))
        }
        return dataclasses.asdict(self) | scores


def from_state(state: Mapping[str, Any]) -> Progress:
    """Makes the progress from the state of a checkpoint.

    Raises:
      ValueError: A value is missing, of another type, or not finite.
    """
    names = [field.name for field in dataclasses.fields(Progress)]
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"the state has no {missing[0]!r}")
    return _read(Progress, {name: state[name] for name in names}, "state")


def check(state: Mapping[str, Any]) -> None:
    """Refuses a state that no training can resume from.

    Raises:
      ValueError: The state is incomplete or malformed.
    """
    from_state(state)
    for name in ("identity", "environment", "settings"):
        if not isinstance(state.get(name), dict):
            raise ValueError(f"state.{name} is {_kind(state.get(name))}, not an object")
    if not isinstance(state.get("history"), list):
        raise ValueError(f"state.history is {_kind(state.get('history'))}, not a list")


def _read(kind: Any, value: Any, place: str) -> Any:
    """Makes a value of type `kind` from plain JSON; converts an integer to float, and no more."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        wanted = [option for option in typing.get_args(kind) if option is not type(None)]
        return None if value is None else _read(_fitting(wanted, value), value, place)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise ValueError(f"{place} is {_kind(value)}, not an object")
        hints = typing.get_type_hints(kind)
        spared = {f.name for f in dataclasses.fields(kind) if f.default is not dataclasses.MISSING}
        if odd := sorted((hints.keys() - spared - value.keys()) | (value.keys() - hints.keys())):
            raise ValueError(
                f"{place} must have {', '.join(hints)}; {odd[0]!r} is missing or unexpected"
            )
        return kind(**{name: _read(hints[name], value[name], f"{place}.{name}") for name in value})
    if typing.get_origin(kind) in (list, tuple):
        if not isinstance(value, list):
            raise ValueError(f"{place} is {_kind(value)}, not a list")
        inner = typing.get_args(kind)
        if typing.get_origin(kind) is list:
            return [_read(inner[0], item, place) for item in value]
        if inner[-1] is not ... and len(inner) != len(value):
            raise ValueError(f"{place} has {len(value)} values, not {len(inner)}")
        kinds = [inner[0]] * len(value) if inner[-1] is ... else inner
        return tuple(_read(k, item, place) for k, item in zip(kinds, value, strict=True))
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{place} is {_kind(value)}, not {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{place} is {value}")
    return value


def _fitting(kinds: Sequence[Any], value: Any) -> Any:
    """Of several dataclasses the one that has all names of an object, else the first."""
    if len(kinds) > 1 and isinstance(value, dict):
        for kind in kinds:
            if value.keys() <= typing.get_type_hints(kind).keys():
                return kind
    return kinds[0]


def _kind(value: Any) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"
