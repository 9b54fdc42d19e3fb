"""Lists the models, their parameters and their cost.

    hw2 models
    hw2 models simple_cnn resnet18 --num_classes=10 --image_size=32 --json
    hw2 models resnet50 --layers
    hw2 models resnet18 --freeze='stem|stage[12]'

Names of models, or --model, choose some of them. Parameters are those that training changes.
Multiply-adds are those of convolutions and matrix products, for one picture. Layers are
convolutions and matrices. Patches are the matrices that im2col lays out for one picture, in
float32; where convolution is by im2col, training keeps them for the gradient. No model is run or
initialized: the sizes are read from its graph. With --freeze, the layers that a training with it
would leave as they are follow, and how many parameters these have.
"""

from __future__ import annotations

import json
from typing import Any

from hw2.commands.command import Command, Own, split
from hw2.config.fields import setting
from hw2.config.rules import at_least
from hw2.config.settings import Config
from hw2.errors import UsageError
from hw2.terminal import console

HEAD = f"{'model':20}{'parameters':>13}{'multiply-adds':>16}{'layers':>8}{'patches':>12}"


def _models(config: Config, own: Own) -> None:
    """Prints one line for each model, or its layers."""
    from hw2.jobs import spec  # imports TensorFlow
    from hw2.models import MODELS, summary

    names = [*own.rest, *split(own.model)] or list(MODELS)
    for name in names:
        if name not in MODELS:
            raise UsageError(f"no model {name} - it must be one of {', '.join(MODELS)}")
    if own.json and own.layers:
        raise UsageError("--json and --layers must not both be given, they print different things")
    shape = (own.image_size, own.image_size, own.channels)
    results = []
    if not own.json and not own.layers:
        print(HEAD)
    for name in names:
        if own.layers:
            out = console.stdout()
            out.print(name)
            out.print(summary.describe(MODELS[name], shape, own.num_classes))
        else:
            results.append({"model": name} | summary.measure(MODELS[name], shape, own.num_classes))
            if not own.json:
                print(_line(results[-1]), flush=True)
        if config.freeze != "false":
            frozen = spec.frozen_of(name, shape, own.num_classes, config.freeze)
            if own.json:
                results[-1]["frozen"] = frozen
            else:
                print(f"  {frozen}", flush=True)
    if own.json:
        print(json.dumps(results, indent=1))


def _line(result: dict[str, Any]) -> str:
    """The row of a model in the table."""
    name, parameters, products, layers, patches = result.values()
    return f"{name:20}{parameters:13,}{products:16,}{layers:8}{patches / 1e6:9,.1f} MB"


COMMAND = Command(
    __doc__,
    _models,
    many=True,
    flags={
        "num_classes": setting(1000, "length of the logits", at_least(1)),
        "image_size": setting(224, "side of the pictures", at_least(1)),
        "channels": setting(3, "of the pictures", at_least(1)),
        "model": setting("", "models, with commas between; empty for all"),
        "json": setting(False, "print JSON instead of the table"),
        "layers": setting(False, "print the layers of each model"),
    },
    reads=("freeze", "debug"),
)
