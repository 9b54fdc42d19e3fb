"""The pictures that were last asked about, in memory, each under a name that nobody can guess."""

from __future__ import annotations

import collections
import dataclasses
import secrets
import threading

import tensorflow as tf

from hw2.serve.refusal import Refusal


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """A picture as the model sees it.

    Attributes:
      image: `[1, H, W, C]`, standardized.
      guess: The likeliest class.
    """

    image: tf.Tensor
    guess: int


class Pictures:
    """Keeps a few pictures; the one that was used longest ago makes room for a new one."""

    def __init__(self, most: int):
        self._most = most
        self._kept: collections.OrderedDict[str, Picture] = collections.OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, picture: Picture) -> str:
        """Keeps a picture and returns its name."""
        token = secrets.token_urlsafe(16)
        with self._lock:
            self._kept[token] = picture
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return token

    def find(self, token: str) -> Picture:
        """Returns the picture of a name.

        Raises:
          Refusal: It was not kept, or is forgotten.
        """
        with self._lock:
            if token not in self._kept:
                raise Refusal(
                    404, f"no such picture - the last {self._most} are kept; send it again"
                )
            self._kept.move_to_end(token)
            return self._kept[token]
