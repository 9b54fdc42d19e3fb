"""A cache of loaded images in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np


class Cache:
    """Calls `load(index)` once for each image that fits into `megabytes`, every time for others.

    Nothing is evicted: an epoch asks for every image once, so an evicted image would be needed
    just as soon as the one that replaced it.
    """

    def __init__(self, load: Callable[[int], np.ndarray], *, megabytes: int):
        self.load = load
        self.bytes_left = megabytes * 2**20
        self.kept: dict[int, np.ndarray] = {}
        self.lock = threading.Lock()

    def __call__(self, index: int) -> np.ndarray:
        """Returns image `index`; safe to call from several threads."""
        image = self.kept.get(index)
        if image is None:
            image = self.load(index)
            with self.lock:
                if index not in self.kept and image.nbytes <= self.bytes_left:
                    self.kept[index] = image
                    self.bytes_left -= image.nbytes
        return image
