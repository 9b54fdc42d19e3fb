"""How far a result is from its definition."""

from __future__ import annotations

import numpy as np


def error(a: np.ndarray, b: np.ndarray, size: np.ndarray) -> float:
    """max|a-b| / max|size|; infinite where the shapes differ or a value is not a number.

    Args:
      a: The result.
      b: The definition, in float64.
      size: What the sums of the definition reach if no terms cancel.
    """
    if a.shape != b.shape:
        return float("inf")
    with np.errstate(all="ignore"):  # minus infinities of max_pool2d, if equal, have distance 0
        largest = np.max(np.where(a == b, 0.0, np.abs(a - b)), initial=0.0)
        scale = np.max(size, where=np.isfinite(size), initial=0.0)
        found = float(largest / scale) if largest else 0.0
    return found if np.isfinite(found) else float("inf")
