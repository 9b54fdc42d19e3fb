"""Settings that were left open: what they become, by the model and the run that they are for.

A run keeps what it began with, so that it resumes as it was, whatever the defaults are now.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hw2.config.rules import SGD
from hw2.config.settings import Config
from hw2.jobs import multilabel, spec
from hw2.runs.checkpoints import Checkpoint

OPEN = -1  # the value of a setting that was left open
# A setting that may be left open, and the one by which it is chosen.
CHOSEN_BY = {
    "l2": "model",
    "momentum": "optimizer",
    "epsilon": "optimizer",
    "weight_decay": "optimizer",
    "halve_after": "schedule",
    "stop_after": "schedule",
}
EPSILONS = {"adam": 1e-8, "adamw": 1e-8, "adagrad": 1e-7, "rmsprop": 1e-7}
SGD_DECAY = "sgd_decay"  # in a checkpoint's state: what plain "sgd" means in that run
GRADIENT, WEIGHT = "gradient", "weight"  # where weight decay goes


def settled(config: Config, found: Checkpoint | None, *, several: bool = False) -> Config:
    """Replaces the settings that were left open.

    A run that was begun when the weight decay of "sgd" was decoupled goes on so, as "sgdw".

    Args:
      config: The settings as given.
      found: The checkpoint to resume; None for a new run. It must have gone through `renewed`.
      several: Whether the pictures have several labels.
    """
    config = multilabel.chosen(config, several)
    if config.optimizer == "sgd" and sgd_decay(found) == WEIGHT:
        config = dataclasses.replace(config, optimizer="sgdw")
    known = {**found.state["identity"], **found.state["settings"]} if found else {}
    values = usual(config)
    for name, chooser in CHOSEN_BY.items():
        if getattr(config, name) != OPEN:
            values[name] = getattr(config, name)
        elif name in known and known.get(chooser, "constant") == getattr(config, chooser):
            values[name] = known[name]
    return dataclasses.replace(config, **values)


def usual(config: Config) -> dict[str, Any]:
    """The values that a new run gets for settings that are left open.

    They are the L2 penalty of the model's own report or paper, which is 0 for most; the momentum
    of SGD, which RMSprop has not; PyTorch's weight decay for AdamW; the paper's epsilon for Adam
    and Keras's for others that have one; and a rate that falls by itself only where no schedule
    lowers it.
    """
    alone = config.schedule == "constant"
    return {
        "l2": spec.own_l2(config.model),
        "momentum": 0.0 if config.optimizer == "rmsprop" else 0.9,
        "epsilon": EPSILONS.get(config.optimizer, 0.0),
        "weight_decay": 0.01 if config.optimizer == "adamw" else 0.0,
        "halve_after": 7 if alone else 0,
        "stop_after": 15 if alone else 0,
    }


def notes(given: Config, config: Config) -> list[str]:
    """Says where the settings have become others than those given."""
    if given.optimizer == config.optimizer:
        return []
    return [
        f"this run was begun when the weight decay of {given.optimizer} was decoupled, and goes on "
        f"so, as {config.optimizer}; a new --log_path begins with that of PyTorch"
    ]


def sgd_decay(found: Checkpoint | None) -> str:
    """What plain "sgd" means in a run: decay in the gradient, or formerly of the weight itself."""
    if found is None:
        return GRADIENT
    formerly = WEIGHT if found.state["settings"].get("weight_decay") else GRADIENT
    return found.state.get(SGD_DECAY, formerly)


def renewed(found: Checkpoint | None) -> Checkpoint | None:
    """A checkpoint as this version would have written it."""
    if found is None or found.state["identity"].get("optimizer") not in SGD:
        return found
    if sgd_decay(found) == GRADIENT:
        return found
    identity = found.state["identity"] | {"optimizer": "sgdw"}
    state = found.state | {"identity": identity, SGD_DECAY: WEIGHT}
    return dataclasses.replace(found, state=state)
