"""Why the kernel cannot be had."""

from __future__ import annotations


class Unavailable(ValueError):
    """There is no kernel on this machine; every other algorithm works.

    Args:
      reason: What is in the way.
      remedy: What to do about it.
    """

    def __init__(self, reason: str, remedy: str):
        self.words = reason, remedy
        super().__init__(f"algorithm direct cannot be used - {reason}; {remedy}")
