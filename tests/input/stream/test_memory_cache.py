import numpy as np

from hw2.input.stream.memory_cache import Cache


def counting(size):
    calls = []

    def load(index):
        calls.append(index)
        return np.full(size, index, np.uint8)

    return load, calls


def test_what_fits_is_loaded_once():
    load, calls = counting(2**18)  # a quarter of a megabyte
    cached = Cache(load, megabytes=1)
    for _ in range(3):
        for index in range(6):
            assert (cached(index) == index).all()
    assert calls == [0, 1, 2, 3, 4, 5, 4, 5, 4, 5]
    assert cached.bytes_left == 0


def test_nothing_is_kept_without_room():
    load, calls = counting(1)
    cached = Cache(load, megabytes=0)
    cached(3), cached(3)
    assert calls == [3, 3]


def test_a_picture_that_comes_twice_at_once_is_counted_once():
    load, _ = counting(2**18)
    cached = Cache(load, megabytes=1)

    def twice(index):  # as if another thread had loaded the same picture meanwhile
        cached.load = load
        cached(index)
        return load(index)

    cached.load = twice
    cached(0)
    assert cached.bytes_left == 3 * 2**18
