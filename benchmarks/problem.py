"""The training problem that every peer of train_step.py is given, as flags of its process."""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np

NUM_CLASSES = 65


class Problem(NamedTuple):
    """One batch to train a network on, by one peer."""

    peer: str
    model: str
    batch: int
    image_size: int

    def flags(self) -> list[str]:
        """What `parsed` reads in the peer's process."""
        return [f"--{name}={value}" for name, value in self._asdict().items()]

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Draws float32 images `[N, H, W, 3]` and int32 labels `[N]`, the same for every peer."""
        rng = np.random.default_rng(0)
        shape = (self.batch, self.image_size, self.image_size, 3)
        images = rng.standard_normal(shape).astype(np.float32)
        return images, rng.integers(0, NUM_CLASSES, self.batch).astype(np.int32)

    def of(self, models: dict, library: str):
        """Picks the network out of those that a library's peer has, or ends with a line."""
        if self.model not in models:
            raise SystemExit(f"{library} has {', '.join(models)} here, and no {self.model}")
        return models[self.model]


def parsed() -> Problem:
    """Reads the flags of a peer's process."""
    parser = argparse.ArgumentParser()
    for name, kind in (("peer", str), ("model", str), ("batch", int), ("image_size", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    return Problem(**vars(parser.parse_args()))
