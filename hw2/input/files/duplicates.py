"""Finds images that occur more than once, by the hash of their content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DIGEST = np.dtype("S16")  # empty where the content was not hashed


def first_of_each(digests: np.ndarray) -> np.ndarray:
    """Returns for every image the index of the first with the same content, `[N]` int64.

    Args:
      digests: `[N]` of dtype `DIGEST`; an image without a digest is its own first.
    """
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return np.where(digests == b"", np.arange(len(digests)), first[inverse])


def pairs(
    digests: np.ndarray, others: np.ndarray, limit: int | None = None
) -> list[tuple[int, int]]:
    """Lists content that is in both: its first index in `digests`, and its index in `others`."""
    order = np.argsort(digests, kind="stable")
    found = np.flatnonzero(np.isin(others, digests) & (others != b""))[:limit]
    firsts = order[np.searchsorted(digests, others[found], sorter=order)]
    return list(zip(firsts.tolist(), found.tolist(), strict=True))


def equations(found: Sequence[tuple[str, str]], limit: int = 5) -> str:
    """Formats the first pairs of names as "a = b", and the number of the others."""
    more = f" and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(f"{a} = {b}" for a, b in found[:limit]) + more
