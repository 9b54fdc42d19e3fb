import numpy as np
import pytest

from hw2.input.stream import order


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_every_epoch_has_everything_once(count):
    stream = order.at(np.arange(5 * count), count, seed=3).reshape(5, count)
    np.testing.assert_array_equal(np.sort(stream, axis=1), np.tile(np.arange(count), [5, 1]))


def test_any_position_is_found_alone():
    stream = order.at(np.arange(40), 7, seed=3)
    for position in (39, 0, 21, 13):
        assert order.at(np.array([position]), 7, seed=3) == stream[position]


def test_epochs_and_seeds_differ():
    first, second = order.permutation(50, 0, 0), order.permutation(50, 0, 1)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, order.permutation(50, 1, 0))
    assert not np.array_equal(second, order.permutation(50, 1, 0))


def test_the_order_is_the_same_for_ever():
    # Written down once; another order would break every resumed training.
    assert order.permutation(10, 0, 0).tolist() == [0, 2, 9, 1, 8, 5, 4, 3, 6, 7]
    assert order.permutation(10, 2**31 - 1, 10**6).tolist() == [9, 8, 2, 6, 0, 4, 5, 7, 3, 1]


def test_all_orders_are_equally_likely():
    found = [tuple(order.permutation(4, 0, epoch)) for epoch in range(2400)]
    _, counts = np.unique(found, axis=0, return_counts=True)
    assert len(counts) == 24
    # Chi-squared with 23 degrees of freedom: mean 23, and above 50 once in a thousand.
    assert ((counts - 100.0) ** 2 / 100).sum() < 50


def test_far_positions():
    assert 0 <= order.at(np.array([2**60]), 60000, seed=0)[0] < 60000


def test_other_pictures_begin_an_epoch_that_was_not_before():
    since, count = 37, 10
    before = {int(p) // 12 for p in range(since)}  # epochs of the 12 pictures that were
    found = order.at(np.arange(since, since + 30), count, 3, since=since).reshape(3, count)
    for number, epoch in enumerate(found):
        assert sorted(epoch) == list(range(count))
        assert since + 1 + number not in before
        np.testing.assert_array_equal(epoch, order.permutation(count, 3, since + 1 + number))
    again = order.at(np.array([since + 7]), count, 3, since=since)
    assert again == found[0, 7]
