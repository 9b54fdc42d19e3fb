"""Batches of a pipeline as arrays, and beside one another."""

import numpy as np


def take(dataset, count):
    return [[array.numpy() for array in batch] for batch in dataset.take(count)]


def assert_same(batches, others):
    for batch, other in zip(batches, others, strict=True):
        for a, b in zip(batch, other, strict=True):
            np.testing.assert_array_equal(a, b)
