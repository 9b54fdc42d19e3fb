"""How folds are drawn: stratified, each picture once, nothing that belongs together parted."""

import numpy as np
import pytest

from hw2.errors import DataError
from hw2.input import folds
from hw2.input.examples import Examples
from hw2.input.files.duplicates import DIGEST


def examples(labels, digests=None):
    count = len(labels)
    return Examples(
        tuple(f"{i}" for i in range(count)),
        np.asarray(labels, np.int32),
        tuple("abcdef"[: max(labels) + 1]),
        1,
        lambda index, size: np.zeros([4, 4, 1], np.uint8),
        digests=digests,
    )


def test_every_fold_has_its_share_of_every_class():
    data = examples([0] * 50 + [1] * 25 + [2] * 10)
    found = folds.draw(data, 5, seed=0)
    for fold in range(5):
        assert np.bincount(data.labels[found == fold]).tolist() == [10, 5, 2]
    np.testing.assert_array_equal(found, folds.draw(data, 5, seed=0))
    assert (found != folds.draw(data, 5, seed=1)).any()


def test_pictures_of_the_same_content_are_in_one_fold():
    digests = np.array([f"{i % 20:016d}".encode() for i in range(60)], DIGEST)
    data = examples([i % 2 for i in range(60)], digests)
    found = folds.draw(data, 4, seed=0)
    for same in range(20):
        assert len(set(found[same::20])) == 1
    assert np.bincount(found).tolist() == [15, 15, 15, 15]


def test_groups_stay_together():
    groups = np.arange(60) // 6
    data = examples([i % 3 for i in range(60)])
    found = folds.draw(data, 5, seed=0, groups=groups)
    assert all(len(set(found[groups == group])) == 1 for group in range(10))
    assert np.bincount(found).tolist() == [12] * 5


def test_a_class_that_is_too_rare_for_every_fold_is_told():
    data = examples([0] * 20 + [1] * 3)
    found = folds.draw(data, 5, seed=0)
    assert folds.notes(data, found) == ["not every fold has pictures of b, which are too few for 5"]


@pytest.mark.parametrize(
    ("labels", "groups", "words"),
    [
        ([0] * 20 + [1], None, "too few pictures of b in DATA - each picture is held out once"),
        ([0] * 20 + [1] * 9, [*range(20), *[20] * 9], "too few pictures of b in DATA"),
        ([0, 0, 1, 1], None, "too few pictures in DATA - 4, or groups of them, cannot make 5"),
        ([0, 1] * 10, [0, 1, 2, 3] * 5, "too few pictures in DATA - 20, or groups of them"),
    ],
)
def test_what_cannot_be_held_out_is_refused(labels, groups, words):
    together = None if groups is None else np.array(groups)
    with pytest.raises(DataError, match=words):
        folds.draw(examples(labels), 5, seed=0, groups=together, source="DATA")
