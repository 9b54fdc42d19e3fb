"""The trained weights that the settings name, and the preprocessing that belongs to them.

`--pretrained` is "none"; "imagenet", for a network of Keras's or for one of `hw2 weights`; a name
of `hw2 weights`; or a file. Networks of Keras's read Keras's files themselves, in their
constructor; everything else is brought to our names here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hw2.config.rules import numbers_of
from hw2.config.settings import Config
from hw2.errors import RunError, UsageError
from hw2.input.files.rules import default_cache_folder
from hw2.input.transforms.preprocess import STATISTICS
from hw2.models.pretrained import IMAGENET, NONE
from hw2.models.weights import fetch, imagenet, stored
from hw2.models.weights.fetch import PACKAGES
from hw2.models.weights.stored import SUFFIX, Weights
from hw2.runs.checkpoints import Checkpoint
from hw2.training.saving import differences
from hw2.training.variables import named_variables

OURS = (SUFFIX, ".pth", ".pt", ".bin")  # files that Keras's networks do not read themselves
LEFT_OUT = "image"  # `--standardize` where it was not given


def cache() -> Path:
    """The folder of fetched weights.

    Raises:
      RunError: There is no home folder to keep it in.
    """
    folder = default_cache_folder()
    if folder is None:
        raise RunError(
            "no folder for weights in the environment - there is no home folder; set "
            "XDG_CACHE_HOME to a folder"
        )
    return Path(folder) / "weights"


def reads_itself(pretrained: str, options_taken: set[str]) -> bool:
    """Whether the constructor of a model reads these weights, as networks of Keras's do."""
    return "pretrained" in options_taken and not (
        pretrained in PACKAGES or pretrained.endswith(OURS)
    )


def name_of(pretrained: str, model: str) -> str:
    """The name or the absolute path of weights; "imagenet" is the model's own name."""
    if pretrained == IMAGENET:
        return model
    if pretrained in PACKAGES:
        return pretrained
    return os.path.abspath(pretrained)


def check(pretrained: str, model: str, keras: list[str]) -> None:
    """Refuses weights that cannot be those of a model, before anything is read.

    Args:
      pretrained: The setting, which the model's constructor does not read itself.
      model: Name of the model.
      keras: Names of the models that do.

    Raises:
      UsageError: They belong to another model, or there are none by the name.
    """
    if pretrained == IMAGENET and model not in PACKAGES:
        raise UsageError(
            f"--pretrained=imagenet must go with {', '.join([*keras, *PACKAGES])}, got "
            f"--model={model}; give a file of its weights"
        )
    if pretrained in PACKAGES and pretrained != model:
        raise UsageError(
            f"--pretrained={pretrained} must go with --model={pretrained}, got --model={model}"
        )


def read(name: str, model: str, *, tensors: bool = True) -> Weights:
    """Reads weights by their name or path.

    Args:
      name: As `name_of` returns it.
      model: Name of the model.
      tensors: Whether the values are wanted, and not only what is known of them.

    Raises:
      RunError: They have not been fetched, cannot be read, or belong to another model.
    """
    if name in PACKAGES:
        return fetch.fetched(name, cache(), tensors=tensors)
    if not name.endswith(SUFFIX):
        return stored.converted(Path(name), model)
    found = stored.read(Path(name), tensors=tensors)
    if found.model != model:
        raise RunError(
            f"weights of another model in {name} - they are of {found.model}; give "
            f"--model={found.model}, or other weights"
        )
    return found


def assign(model: tf.Module, weights: Weights, name: str, head: set[str]) -> None:
    """Sets all variables of a model to weights, all or none.

    Args:
      model: The model.
      weights: The weights.
      name: What messages call them.
      head: Variables that keep their initial values where the numbers of classes differ.

    Raises:
      RunError: Names or shapes differ.
    """
    variables, values = named_variables(model), dict(weights.tensors)
    if any(n in values and tuple(variables[n].shape) != values[n].shape for n in head):
        variables = {n: v for n, v in variables.items() if n not in head}
        values = {n: v for n, v in values.items() if n not in head}
    values = {n: _for_channels(values[n], variables.get(n)) for n in values}
    if words := differences(variables, values):
        raise RunError(
            f"weights of another model in {name} - {words}; give the --model and the options "
            "that they were trained with"
        )
    for variable_name, variable in variables.items():
        variable.assign(values[variable_name])


def _for_channels(value: np.ndarray, variable: tf.Variable | None) -> np.ndarray:
    """Sums filters of three colours where the model sees one, which is as repeating it thrice."""
    wanted = None if variable is None else tuple(variable.shape)
    grey = value.ndim == 4 and wanted == (*value.shape[:2], 1, value.shape[3])
    return value.sum(2, keepdims=True) if grey and value.shape[2] == 3 else value


def preprocessing(config: Config, needed: Mapping[str, Any]) -> dict[str, Any]:
    """Standardization and channels as weights need them, whatever the settings leave out.

    Args:
      config: The settings.
      needed: "mean", "deviation" and, for weights of our own maps, "channels".

    Raises:
      UsageError: The settings ask for another standardization or other channels.
    """
    given = {
        "imagenet": STATISTICS["imagenet"],
        "given": {name: numbers_of(getattr(config, name)) for name in ("mean", "deviation")},
    }.get(config.standardize)
    wanted = {name: list(needed[name]) for name in ("mean", "deviation")}
    if config.standardize != LEFT_OUT and not (given and _equal(given, wanted)):
        mean, deviation = (",".join(f"{n:.4g}" for n in wanted[k]) for k in wanted)
        raise UsageError(
            f"--standardize must be left out with --pretrained={config.pretrained}, whose weights "
            f"expect a mean of {mean} and a deviation of {deviation}, got {config.standardize}"
        )
    channels = needed.get("channels", len(wanted["mean"]))
    if config.channels not in (0, channels):
        raise UsageError(
            f"--channels must be left out with --pretrained={config.pretrained}, whose weights "
            f"expect {channels}, got {config.channels}"
        )
    return {"standardize": "given", "channels": channels, **wanted}


def _equal(given: Mapping[str, Any], wanted: Mapping[str, list[float]]) -> bool:
    return all(
        len(given[name]) == len(numbers) and np.allclose(given[name], numbers, rtol=1e-6, atol=0)
        for name, numbers in wanted.items()
    )


def needs(config: Config, options_taken: set[str]) -> Mapping[str, Any] | None:
    """The preprocessing that the weights of the settings need; None without any."""
    if config.pretrained == NONE:
        return None
    if reads_itself(config.pretrained, options_taken):
        return STATISTICS["imagenet"]
    name = name_of(config.pretrained, config.model)
    return read(name, config.model, tensors=False).preprocessing


def checkpoint(name: str) -> tuple[Checkpoint, dict[str, np.ndarray]]:
    """Fetched weights in the form of a checkpoint, to classify pictures without any training.

    Args:
      name: One of `PACKAGES`.

    Raises:
      RunError: They have not been fetched.
    """
    weights = fetch.fetched(name, cache())
    side = weights.preprocessing["image_size"]
    still = {"flip": False, "brightness": 0.0, "contrast_min": 1.0, "contrast_max": 1.0}
    identity = {
        "model": name,
        "l2": 0.0,
        "model_options": {},
        "class_names": imagenet.class_names(),
        "preprocessing": {"short_side": side, "crop_size": side, **still, **weights.preprocessing},
        "seed": 0,
    }
    state = {"identity": identity, "settings": {}, "conv_choices": {}}
    tensors = {f"ema/{key}": value for key, value in weights.tensors.items()}
    return Checkpoint(fetch.path_of(name, cache()), 0, state, weights.sha256), tensors
