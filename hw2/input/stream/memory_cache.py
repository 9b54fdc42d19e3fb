"""Loaded pictures, kept in memory as long as there is room."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np


class Cache:
    """Calls `load(index)` once for each picture that fits into `megabytes`, every time for others.

    Nothing is thrown out for a newcomer: an epoch asks for every picture once, so whatever was
    thrown out would have been asked for just as soon.
    """

    def __init__(self, load: Callable[[int], np.ndarray], *, megabytes: int):
        self.load = load
        self.bytes_left = megabytes * 2**20
        self.kept: dict[int, np.ndarray] = {}
        self.lock = threading.Lock()

    def __call__(self, index: int) -> np.ndarray:
        """The picture `index`; safe to call from several threads."""
        picture = self.kept.get(index)
        if picture is None:
            picture = self.load(index)
            with self.lock:
                if index not in self.kept and picture.nbytes <= self.bytes_left:
                    self.kept[index] = picture
                    self.bytes_left -= picture.nbytes
        return picture
