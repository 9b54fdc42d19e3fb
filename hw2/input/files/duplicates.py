"""The same picture more than once: told by the hash of its content, whatever it is called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DIGEST = np.dtype("S16")  # an empty one stands for content that nobody hashed


def first_of_each(digests: np.ndarray) -> np.ndarray:
    """Says for every picture which one is the first of its content, `[N]` int64.

    Args:
      digests: `[N]` of dtype `DIGEST`; pictures without one are each their own.
    """
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return np.where(digests == b"", np.arange(len(digests)), first[inverse])


def pairs(
    digests: np.ndarray, others: np.ndarray, limit: int | None = None
) -> list[tuple[int, int]]:
    """Lists what is in both: index in `digests`, of the first there, and index in `others`."""
    order = np.argsort(digests, kind="stable")
    found = np.flatnonzero(np.isin(others, digests) & (others != b""))[:limit]
    firsts = order[np.searchsorted(digests, others[found], sorter=order)]
    return list(zip(firsts.tolist(), found.tolist(), strict=True))


def equations(found: Sequence[tuple[str, str]], limit: int = 5) -> str:
    """The first pairs of names as "a = b", and how many more there are."""
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(f"{a} = {b}" for a, b in found[:limit]) + more
