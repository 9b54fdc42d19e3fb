"""Batches from any step on are those of a run that was never stopped, on threads and machines.

With random changes, mixing, and the caches in memory and on disk that earlier starts have filled.
"""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from hw2.input import pipeline
from hw2.input.pipeline import Part
from hw2.input.sources import folder
from hw2.input.stream import disk_cache
from hw2.input.transforms.preprocess import Preprocessing

COUNT, BATCH = 88, 8  # mixing needs an even number of rows on each worker
EPOCH = COUNT // BATCH  # 11 steps
STEPS = 2 * EPOCH
AFTER = 2  # batches that are compared after each start
RANDOM = Preprocessing(6, 3, 10, 7, True, 63.0, 0.2, 1.8, rotation=10.0, salt_and_pepper=0.1)
EVERYTHING = dataclasses.replace(  # takes seconds to trace, each time
    RANDOM,
    flip_up_down=True,
    shift=0.1,
    scale=0.1,
    saturation_min=0.5,
    saturation_max=1.5,
    hue=0.1,
    rand_augment=2,
    erasing=0.5,
    cutout=2,
)


@pytest.fixture(scope="module")
def start_anew(tmp_path_factory):
    """Reads a folder as a new process would, whatever others have left in the cache on disk."""
    root, cache = tmp_path_factory.mktemp("pictures"), str(tmp_path_factory.mktemp("cache"))
    rng = np.random.default_rng(0)
    for number in range(COUNT):
        path = root / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        size = [*rng.integers(9, 15, 2), 3]
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(path)
    return lambda: disk_cache.kept(folder.read_folder(root), cache, reserve=0)


def batches(examples, start, count, *, threads=1, workers=1, preprocessing=RANDOM):
    """Whole batches, put together of what each worker loads."""
    streams = [
        pipeline.training_batches(
            examples,
            range(COUNT),
            preprocessing,
            batch_size=BATCH,
            seed=4,
            start_step=start,
            parallel_calls=threads,
            part=Part(index, workers),
            mixup=0.2,
            cutmix=1.0,
        ).take(count)
        for index in range(workers)
    ]
    for rows in zip(*streams, strict=True):
        yield [np.concatenate([c.numpy() for c in column]) for column in zip(*rows, strict=True)]


@pytest.fixture(scope="module")
def whole(start_anew):
    """Two epochs and a little more, on one thread of one worker."""
    return list(batches(start_anew(), 0, STEPS + AFTER))


@pytest.fixture(scope="module")
def whole_of_everything(start_anew):
    return list(batches(start_anew(), 0, STEPS + AFTER, preprocessing=EVERYTHING))


def test_two_epochs_differ(whole):
    first, second = whole[0][0], whole[EPOCH][0]
    assert first.shape == second.shape == (BATCH, 6, 6, 3)
    assert np.abs(first - second).max() > 0.1
    assert len({images.tobytes() for images, _ in whole}) == STEPS + AFTER
    shares = np.concatenate([labels for _, labels in whole])
    assert ((shares > 0.01) & (shares < 0.99)).any()  # some are mixed


def check(start_anew, whole, starts, **options):
    for start in starts:
        resumed = list(batches(start_anew(), start, AFTER, **options))
        assert len(resumed) == AFTER
        for ours, expected in zip(resumed, whole[start : start + AFTER], strict=True):
            for one, other in zip(ours, expected, strict=True):
                assert one.dtype == other.dtype
                assert one.tobytes() == other.tobytes()


def at_random(count, *seed):
    return np.random.default_rng(seed).choice(np.arange(1, STEPS), count, replace=False).tolist()


@pytest.mark.parametrize(("threads", "workers"), [(2, 1), (4, 2)])
def test_resumed_at_random_steps(start_anew, whole, threads, workers):
    starts = at_random(2, threads, workers)
    check(start_anew, whole, starts, threads=threads, workers=workers)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_resumed_at_twenty_random_steps(start_anew, whole_of_everything, threads, workers):
    options = {"threads": threads, "workers": workers, "preprocessing": EVERYTHING}
    check(start_anew, whole_of_everything, at_random(20, threads, workers), **options)
