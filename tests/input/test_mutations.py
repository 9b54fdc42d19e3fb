"""Damaged files of every format, in processes of their own: no crash, hang or mix-up."""

import pytest

from tests.input import intact
from tests.input.mutate import FORMATS, PEAK, mutate

WITHOUT_TENSORFLOW = [format for format in FORMATS if format != "tfrecord"]


def test_a_few_of_each():
    counts, found = mutate(30, 1, *WITHOUT_TENSORFLOW)
    assert not found, found
    for count in counts.values():
        assert count["accepted"] + count["refused"] == 30
        assert count["MB"] < PEAK
    for format in intact.PICTURES:
        assert counts[format]["refused"] > 2, format  # the damage is real
        assert counts[format]["accepted"] > 0, format  # and not always deadly


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("format", FORMATS)
def test_five_thousand_of_each(format):
    counts, found = mutate(5000, 0, format)
    assert not found, found
    assert counts[format]["accepted"] + counts[format]["refused"] == 5000
