"""How near a layer is to its definition."""

import numpy as np


def close(a, b, *, bound):
    """Asserts one shape, and a difference of at most `bound` of the largest value of `b`."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    assert np.max(np.abs(a - b)) <= bound * np.max(np.abs(b))
