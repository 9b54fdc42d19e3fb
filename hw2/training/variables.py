"""Names for the variables of a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf


def named_variables(module: tf.Module) -> dict[str, tf.Variable]:
    """Names every variable of a module by its path of attributes, keys and indices.

    Returns:
      Variables by names such as "stages/dense1/stages/dense/w", in order of definition. A name
      depends on the module alone, so a saved value finds its variable again. A variable that has
      several paths, because a layer is used more than once, has its first one for a name.
    """
    found: dict[int, tuple[str, tf.Variable]] = {}
    for name, variable in _walk(module, ()):
        found.setdefault(id(variable), (name, variable))
    return dict(found.values())


def trainable(variables: dict[str, tf.Variable]) -> dict[str, tf.Variable]:
    """The variables that are trained by gradients."""
    return {name: variable for name, variable in variables.items() if variable.trainable}


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, tf.Variable]]:
    if isinstance(value, tf.Variable):
        yield "/".join(path), value
        return
    if isinstance(value, tf.Module):
        children = {k: v for k, v in vars(value).items() if not k.startswith("_")}
    elif isinstance(value, dict):
        children = value
    elif isinstance(value, (list, tuple)):
        children = dict(enumerate(value))
    else:
        return
    for key, child in children.items():
        yield from _walk(child, (*path, str(key)))
