"""Figures by hand."""

import numpy as np
import pytest

from hw2.report import accuracy
from hw2.report.accuracy import Predictions, Share


def answers(labels, guesses, names=None, classes=3, sure=0.8):
    probabilities = np.full((len(labels), classes), (1 - sure) / (classes - 1), np.float32)
    probabilities[np.arange(len(labels)), guesses] = sure
    names = names or [f"{n}" for n in range(len(labels))]
    return Predictions(tuple(names), np.array(labels), probabilities, tuple("abc"[:classes]))


def test_wilson():
    low, high = Share(8, 10).interval  # Brown, Cai and DasGupta, 2001, by their formula
    z, p, n = 1.959964, 0.8, 10
    middle, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert low == pytest.approx((middle - half) / (1 + z * z / n), rel=1e-5)
    assert high == pytest.approx((middle + half) / (1 + z * z / n), rel=1e-5)


def test_confusion_and_classes():
    found = answers([0, 0, 0, 1, 2], [0, 0, 1, 1, 1])
    assert found.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 0]]
    a, b, c = accuracy.by_class(found)
    assert (a["precision"], a["recall"], a["pictures"]) == (1, pytest.approx(2 / 3), 3)
    assert (b["precision"], b["recall"], b["guessed"]) == (pytest.approx(1 / 3), 1, 3)
    assert c["f1"] == 0


def test_most_confused_come_first_with_their_rows():
    found = answers([0, 0, 0, 1, 2], [1, 1, 0, 1, 0])
    (label, guess, rows), (second, *_) = accuracy.confused(found)
    assert (label, guess, sorted(rows), second) == (0, 1, [0, 1], 2)


def test_worst_and_least_sure():
    found = answers([0, 1, 2], [1, 1, 1])
    found.probabilities[2] = [0.0, 0.95, 0.05]
    found.probabilities[1] = [0.45, 0.5, 0.05]
    assert accuracy.worst(found).tolist() == [2, 0]
    assert accuracy.least_sure(found, 1).tolist() == [1]


def test_mcnemar_pairs_by_name():
    labels = [0] * 10
    one = answers(labels, [0] * 9 + [1])
    other = answers(labels, [1] * 8 + [0] * 2)
    shuffled = Predictions(
        other.names[::-1], other.labels[::-1], other.probabilities[::-1], other.class_names
    )
    for second in (other, shuffled):
        result = accuracy.mcnemar(one, second)
        assert (result["only_first"], result["only_second"]) == (8, 1)
        assert result["p"] == pytest.approx(2 * (1 + 9) / 2**9)  # of 9: none or one, both tails
    assert accuracy.mcnemar(one, answers([0], [0], names=["else"])) is None
