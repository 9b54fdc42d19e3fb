"""Names of a module's variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf


def named_variables(module: tf.Module) -> dict[str, tf.Variable]:
    """Finds every variable by its path of attributes, keys and indices.

    Returns:
      For example "stages/dense1/stages/dense/w"; in order of definition. The path depends on
      the module alone, so a value saved under it finds its variable again.
    """
    return dict(_walk(module, ()))


def trainable(variables: dict[str, tf.Variable]) -> dict[str, tf.Variable]:
    """Those that training changes by gradient."""
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
