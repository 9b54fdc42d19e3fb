"""Layer-wise learning rate decay: layers near the input learn more slowly than the last one."""

from __future__ import annotations

import itertools

import tensorflow as tf

from hw2.jobs.freezing import shown
from hw2.layers.sequential import Sequential, flat
from hw2.training.variables import named_variables, trainable


def groups(model: tf.Module) -> list[list[str]]:
    """Names the trained variables of a model by depth, those of the first layer first.

    A group is a layer or a block of the model: a convolution, a dense layer, a residual, dense or
    inception block. A normalization by itself belongs to the layer before it.
    """
    variables = trainable(named_variables(model))
    layers = [name for name, _ in flat(model)] if isinstance(model, Sequential) else []

    def layer_of(name: str) -> str:
        own = shown(name)
        return next((one for one in layers if own.startswith(f"{one}/")), own.split("/")[0])

    found: list[list[str]] = []
    for _, members in itertools.groupby(variables, layer_of):
        names = list(members)
        if found and all(len(variables[name].shape) < 2 for name in names):
            found[-1] += names
        else:
            found.append(names)
    return found


def factors(model: tf.Module, decay: float) -> dict[str, float]:
    """By what to multiply the learning rate of each trained variable: `decay ** k`.

    k is 0 for the last group of `groups`, the head, and grows by one with each group before it.

    Args:
      model: The model.
      decay: In (0, 1]; 1 leaves all rates as they are.

    Source: Clark et al., "ELECTRA", 2020, arxiv.org/abs/2003.10555, appendix A; for images Bao et
    al., "BEiT", 2021, arxiv.org/abs/2106.08254.
    """
    found = groups(model)
    return {
        name: decay ** (len(found) - 1 - depth)
        for depth, names in enumerate(found)
        for name in names
    }


def summary(model: tf.Module, decay: float) -> str:
    """Says what the rates of the first and the last group are."""
    found = groups(model)
    first, last = (shown(names[0]).rpartition("/")[0] for names in (found[0], found[-1]))
    return (
        f"learning rate by depth, in {len(found)} groups: {decay ** (len(found) - 1):.3g} of it in "
        f"{first}, {decay:g} times the next, up to the whole rate in {last}"
    )
