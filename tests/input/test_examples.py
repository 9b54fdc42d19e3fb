import re

import numpy as np
import pytest

from hw2.input.examples import Examples


def make(names=("x", "y"), labels=(0, 1), dtype=np.int32):
    return Examples(tuple(names), np.array(labels, dtype), ("a", "b"), 3, load=lambda i, s: None)


def test_length():
    assert len(make()) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": [0]}, "or uint8 of shape [2, 2], got int32 of shape [1]."),
        ({"dtype": np.int64}, "got int64 of shape [2]"),
        ({"names": ["x", "x"]}, "names must differ from each other, got duplicates."),
        ({"labels": [0, 2]}, "labels must be in [0, 2), the classes, got 0 to 2."),
        ({"labels": [-1, 1]}, "labels must be in [0, 2), the classes, got -1 to 1."),
    ],
)
def test_contradictions_are_refused(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        make(**changes)
