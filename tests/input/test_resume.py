"""Batches from any step on are those of a run that was never stopped, on threads and machines."""

import numpy as np
import pytest

from hw2.input import arrays, pipeline
from hw2.input.pipeline import Part
from hw2.input.preprocess import Preprocessing

COUNT, BATCH = 88, 8  # mixing needs an even number of rows on each worker
EPOCH = COUNT // BATCH  # 11 steps
STEPS = 2 * EPOCH
AFTER = 2  # batches that are compared after each start
RANDOM = Preprocessing(6, 3, 10, 7, True, 63.0, 0.2, 1.8, rotation=10.0, salt_and_pepper=0.1)


@pytest.fixture(scope="module")
def examples():
    images = np.random.default_rng(0).integers(0, 256, [COUNT, 8, 10, 3], np.uint8)
    return arrays.examples(images, np.arange(COUNT) % 3, ["a", "b", "c"])


def batches(examples, start, count, *, threads=1, workers=1):
    """Whole batches, put together of what each worker loads."""
    streams = [
        pipeline.training_batches(
            examples,
            range(COUNT),
            RANDOM,
            batch_size=BATCH,
            seed=4,
            start_step=start,
            parallel_calls=threads,
            part=Part(index, workers),
            mixup=0.2,
        ).take(count)
        for index in range(workers)
    ]
    for rows in zip(*streams, strict=True):
        yield [np.concatenate([c.numpy() for c in column]) for column in zip(*rows, strict=True)]


@pytest.fixture(scope="module")
def whole(examples):
    """Two epochs and a little more, on one thread of one worker."""
    return list(batches(examples, 0, STEPS + AFTER))


def test_two_epochs_differ(whole):
    first, second = whole[0][0], whole[EPOCH][0]
    assert first.shape == second.shape == (BATCH, 6, 6, 3)
    assert np.abs(first - second).max() > 0.1


def check(examples, whole, starts, threads, workers):
    for start in starts:
        resumed = list(batches(examples, start, AFTER, threads=threads, workers=workers))
        assert len(resumed) == AFTER
        for ours, expected in zip(resumed, whole[start : start + AFTER], strict=True):
            for one, other in zip(ours, expected, strict=True):
                assert one.dtype == other.dtype
                assert one.tobytes() == other.tobytes()


def at_random(count, *seed):
    return np.random.default_rng(seed).choice(np.arange(1, STEPS), count, replace=False).tolist()


@pytest.mark.parametrize(("threads", "workers"), [(2, 1), (4, 2)])
def test_resumed_at_random_steps(examples, whole, threads, workers):
    check(examples, whole, at_random(2, threads, workers), threads, workers)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_resumed_at_twenty_random_steps(examples, whole, threads, workers):
    check(examples, whole, at_random(20, threads, workers), threads, workers)
