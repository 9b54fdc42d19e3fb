"""Reads the arrays of a file of weights that Keras saved as HDF5."""

from __future__ import annotations

from pathlib import Path

import h5py  # which TensorFlow needs too
import numpy as np

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def read(path: Path) -> dict[str, np.ndarray]:
    """Reads every array, named as its layer names it: "conv1_W", or "fire2/squeeze1x1_W".

    Raises:
      ValueError: It is no such file.
      OSError: It cannot be opened.
    """
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            raise ValueError("not an HDF5 file")
    with h5py.File(path, "r") as file:
        own: dict[str, h5py.Dataset] = {}  # links, which may lead to other files, are not visited
        file.visititems(
            lambda name, item: own.update({name: item}) if isinstance(item, h5py.Dataset) else None
        )
        found = {}
        for layer in map(_text, file.attrs.get("layer_names", ())):
            for name in map(_text, file[layer].attrs.get("weight_names", ())):
                if f"{layer}/{name}" not in own:
                    raise ValueError(f"it has no array {name}")
                found[name.partition(":")[0]] = np.asarray(own[f"{layer}/{name}"])
    if not found:
        raise ValueError("it lists no arrays of layers")
    return found


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
