"""Thresholds of a small example, and what tells known images from unknown ones."""

import numpy as np
import pytest

from hw2.training import rejection
from hw2.training.rejection import Choice

SURE = np.array([0.9, 0.5, 0.8, 0.8, 0.6, 0.3], np.float32)
RIGHT = np.array([True, True, False, True, True, False])


def test_the_curve_by_hand():
    found = rejection.curve(SURE, RIGHT)
    assert [row[1:] for row in found] == [(1, 0), (3, 1), (4, 1), (5, 1), (6, 2)]
    assert [row.threshold for row in found] == pytest.approx([0.85, 0.7, 0.55, 0.4, 0])
    for threshold, accepted, wrong in found:
        kept = ~rejection.rejected(SURE, threshold)
        assert (kept.sum(), (kept & ~RIGHT).sum()) == (accepted, wrong)


def test_images_that_are_as_sure_stay_together():
    assert rejection.curve(np.full(5, 0.5), np.ones(5, bool)) == [Choice(0.0, 5, 0)]
    close = np.nextafter(np.float32(1), np.float32(0), dtype=np.float32)
    first, _ = rejection.curve(np.array([1, close], np.float32), np.array([True, False]))
    assert close < first.threshold < 1


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    sure, right = rng.random(5000), rng.random(5000) < 0.9
    found = rejection.curve(sure, right, most=100)
    assert len(found) == 100
    assert found[0].accepted == 1
    assert found[-1] == Choice(0.0, 5000, int((~right).sum()))


def test_a_threshold_is_chosen_by_error_or_by_coverage():
    choices = rejection.curve(SURE, RIGHT)
    assert rejection.for_error(choices, 0.2).accepted == 5
    assert rejection.for_error(choices, 0.0).accepted == 1
    assert rejection.for_error(choices, 1.0).threshold == 0
    assert rejection.for_error([Choice(0.5, 2, 1), Choice(0.0, 4, 3)], 0.1) is None
    assert rejection.for_coverage(choices, 0.5).accepted == 3
    assert rejection.for_coverage(choices, 0.51).accepted == 4
    assert rejection.for_coverage(choices, 1.0).threshold == 0


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    known, unknown = rng.normal(1, 1, 60), rng.normal(0, 1, 50)
    pairs = known[:, None] > unknown
    assert rejection.auroc(known, unknown) == pytest.approx(pairs.mean())
    threshold = np.sort(known)[3]  # 57 of 60 are at least as sure: 95 %
    expected = (unknown >= threshold).mean()
    assert rejection.accepted_at_95(known, unknown) == pytest.approx(expected)
    assert rejection.auroc(np.array([0.9]), np.array([0.1])) == 1
