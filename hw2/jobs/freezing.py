"""Which variables of a model training leaves as they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import tensorflow as tf

from hw2.errors import UsageError
from hw2.training.variables import named_variables, trainable

STAGES = "stages/"  # of names of variables; a pattern goes without it


def shown(name: str) -> str:
    """The name of a variable as people see it: "stem/conv1/w" for "stages/stem/stages/conv1/w"."""
    return name.replace(STAGES, "")


def matching(model: tf.Module, pattern: str) -> set[str]:
    """Names the trained variables whose shown names match a regular expression from their start."""
    names = trainable(named_variables(model))
    return {name for name in names if re.match(pattern, shown(name))}


def checked(model: tf.Module, pattern: str, frozen: Collection[str], name: str) -> None:
    """Refuses to freeze nothing or everything.

    Args:
      model: The model.
      pattern: As given.
      frozen: The names of frozen variables.
      name: The model's name.

    Raises:
      UsageError: The pattern matches no variable of the model, or all of them.
    """
    names = trainable(named_variables(model))
    if 0 < len(frozen) < len(names):
        return
    what = "no variable" if not frozen else "every variable"
    raise UsageError(
        f"--freeze must match a part of {name}, got {pattern!r}, which matches {what}; there are "
        f"{', '.join(layers(names))}"
    )


def layers(names: Iterable[str]) -> list[str]:
    """The layers of variables as people see them, each once, in the order of the model."""
    return list(dict.fromkeys(shown(name).rpartition("/")[0] for name in names))


def summary(model: tf.Module, frozen: Collection[str]) -> str:
    """Says which layers of a model are frozen, and how many parameters they have."""
    sizes = {n: v.shape.num_elements() for n, v in trainable(named_variables(model)).items()}
    ours = [name for name in sizes if name in frozen]
    count = sum(sizes[name] for name in ours)
    return (
        f"frozen: {', '.join(layers(ours)) or 'nothing'} "
        f"({count:,} of {sum(sizes.values()):,} parameters)"
    )
