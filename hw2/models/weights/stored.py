"""Weights by our names, with the preprocessing that belongs to them; files of them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hw2.errors import RunError, writing
from hw2.models.weights import hdf5, torch_file
from hw2.models.weights.maps import ORIGINS, Origin
from hw2.runs import atomic

ABOUT = "hw2_weights"  # the key of our metadata in a safetensors file
SUFFIX = ".safetensors"
READERS = {"torch": torch_file.read, "hdf5": hdf5.read}
LISTED = 4  # how many names one error lists


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """Trained weights of a model.

    Attributes:
      model: Name of the model.
      preprocessing: Size, channels, mean and deviation of the images that they expect, as
        arguments of `hw2.input.transforms.preprocess.Preprocessing`.
      sha256: Hash of the file from which they were read first.
      tensors: The value of each variable, by the names of `hw2.training.variables`.
    """

    model: str
    preprocessing: Mapping[str, Any]
    sha256: str
    tensors: Mapping[str, np.ndarray]


def converted(path: Path, model: str) -> Weights:
    """Reads a file of PyTorch's or Keras's, and turns it into weights of a model of ours.

    Raises:
      RunError: There is no map of names for the model, or the file cannot be read, or it has
        other names than the map.
    """
    if model not in ORIGINS:
        raise RunError(
            f"unknown names in {path} - there is no map of them for {model}, only for "
            f"{', '.join(ORIGINS)}; give a file that hw2 weights has written"
        )
    origin = ORIGINS[model]
    try:
        arrays = READERS[origin.format](path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise RunError(
            f"bad weights in {path} - {why}; give a file of {origin.format} weights of {model}"
        ) from error
    _check_names(path, model, origin, arrays)
    tensors = {
        ours: np.ascontiguousarray(entry.turn(arrays[entry.name]))
        for ours, entry in origin.entries.items()
    }
    return Weights(model, origin.preprocessing, digest, tensors)


def write(path: Path, weights: Weights) -> None:
    """Writes weights into a safetensors file, whole or not at all.

    Raises:
      RunError: The disk refuses.
    """
    about = {
        "model": weights.model,
        "preprocessing": dict(weights.preprocessing),
        "sha256": weights.sha256,
    }
    with writing(path, "make room or repair the folder, and rerun the command"):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, save(dict(weights.tensors), {ABOUT: json.dumps(about)}))


def read(path: Path, *, tensors: bool = True) -> Weights:
    """Reads a file that `write` has written; without its tensors where only the rest is wanted.

    Raises:
      RunError: It is missing or no such file.
    """
    remedy = "give a file that hw2 weights has written, or type hw2 weights to list them"
    try:
        with safe_open(path, "numpy") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            names = list(file.keys()) if tensors else []
            found = {name: file.get_tensor(name) for name in names}
            return Weights(about["model"], about["preprocessing"], about["sha256"], found)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise RunError(f"no weights in {path} - {why}; {remedy}") from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        unsaid = error.args == (ABOUT,)
        reason = "it does not say which preprocessing they need" if unsaid else str(error)
        raise RunError(f"bad weights in {path} - {reason}; {remedy}") from error


def _check_names(path: Path, model: str, origin: Origin, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuses a file that lacks arrays of the map, or has others."""
    wanted = {entry.name for entry in origin.entries.values()}
    others = {name for name in arrays if not name.endswith(origin.unused or ("\0",))}
    words = [
        f"{len(names)} {kind}: {', '.join(sorted(names)[:LISTED])}"
        + (", ..." if len(names) > LISTED else "")
        for kind, names in (("missing", wanted - others), ("not expected", others - wanted))
        if names
    ]
    if words:
        raise RunError(
            f"other names in {path} - {'; '.join(words)}; give weights of {model}, or another "
            "--model"
        )
