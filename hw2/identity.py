"""What makes two trainings the same, and all that is needed to build their model again.

It travels with each checkpoint as plain JSON, so that evaluation and prediction preprocess
exactly as training did.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import tensorflow as tf

from hw2.config import Config
from hw2.errors import UsageError
from hw2.input.examples import Examples
from hw2.input.preprocess import Preprocessing
from hw2.models import MODELS

Identity = dict[str, Any]


def of(config: Config, examples: Examples, split: Path) -> Identity:
    """Gathers what must not change within a run.

    Args:
      config: The settings.
      examples: The training data.
      split: The file that says which of them train.
    """
    fields = {field.name for field in dataclasses.fields(Preprocessing)}
    preprocessing = {name: value for name, value in vars(config).items() if name in fields}
    return {
        "model": config.model,
        "l2": config.l2,
        "class_names": list(examples.class_names),
        "preprocessing": dict(sorted(preprocessing.items())) | {"channels": examples.channels},
        "split": hashlib.sha256(split.read_bytes()).hexdigest(),
        "validation_fraction": config.validation_fraction,
        "seed": config.seed,
        "batch_size": config.batch_size,
        "ema_decay": config.ema_decay,
        "sync_batch_norm": config.sync_batch_norm,
    }


def preprocessing(identity: Identity) -> Preprocessing:
    """How its pictures are prepared."""
    return Preprocessing(**identity["preprocessing"])


def image_shape(identity: Identity) -> tuple[int, int, int]:
    """(H, W, C) of what its model sees."""
    prepared = preprocessing(identity)
    return prepared.image_size, prepared.image_size, prepared.channels


def model(identity: Identity) -> tf.Module:
    """Builds its model, with first weights by its seed."""
    make = constructor(identity["model"])
    classes = len(identity["class_names"])
    return make(image_shape(identity), classes, seed=identity["seed"], l2=identity["l2"])


def constructor(name: str):
    """Finds a model by name.

    Raises:
      UsageError: There is none of that name.
    """
    if name not in MODELS:
        raise UsageError(f"--model must be one of {', '.join(MODELS)}, got {name!r}")
    return MODELS[name]
