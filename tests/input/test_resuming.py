"""Batches from any step on are those of a stream that was never stopped, bit by bit.

With everything that could come in between: random changes, mixing, caches in memory and on
disk, any number of threads, two machines.
"""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from hw2.input import disk_cache, folder, pipeline
from hw2.input.pipeline import Part
from hw2.input.preprocess import Preprocessing

PICTURES, BATCH = 44, 4
STEPS = 2 * PICTURES // BATCH  # of two epochs
SOME = Preprocessing(12, 3, 16, 10, True, 63.0, 0.2, 1.8, shift=0.1, erasing=0.5)
EVERYTHING = dataclasses.replace(  # takes seconds to trace, each time
    SOME,
    flip_up_down=True,
    rotation=15.0,
    scale=0.1,
    saturation_min=0.5,
    saturation_max=1.5,
    hue=0.1,
    salt_and_pepper=0.05,
    rand_augment=2,
)
WAYS = [(threads, machines) for threads in (1, 2, 4) for machines in (1, 2)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        path = root / "abc"[number % 3] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        levels = rng.integers(0, 256, [*rng.integers(14, 24, 2), 3], np.uint8)
        Image.fromarray(levels).save(path)
    return root


@pytest.fixture(scope="module")
def batches(root, tmp_path_factory):
    """Makes batches as a new process would, whatever others have left in the cache on disk."""
    cache = str(tmp_path_factory.mktemp("cache"))

    def make(start, count, threads, machines, preprocessing=SOME):
        examples = disk_cache.kept(folder.read(root), cache, reserve=0)
        streams = [
            pipeline.training_batches(
                examples,
                np.arange(PICTURES),
                preprocessing,
                batch_size=BATCH,
                seed=7,
                start_step=start,
                cache_mb=1,
                parallel_calls=threads,
                part=Part(index, machines),
                mixup=0.4,
                cutmix=1.0,
            ).take(count)
            for index in range(machines)
        ]
        return [
            [np.concatenate(column) for column in zip(*parts, strict=True)]
            for parts in zip(*(s.as_numpy_iterator() for s in streams), strict=True)
        ]

    return make


@pytest.fixture(scope="module")
def whole(batches):
    """Two epochs and a little more, never stopped, by one thread."""
    return batches(0, STEPS + 2, 1, 1)


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others, strict=True):
        for a, b in zip(batch, other, strict=True):
            assert a.dtype == b.dtype
            assert a.tobytes() == b.tobytes()


def test_every_batch_is_another(whole):
    """Else equal batches would show nothing."""
    assert len({images.tobytes() for images, _ in whole}) == len(whole)
    shares = np.concatenate([labels for _, labels in whole])
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    assert ((shares > 0.01) & (shares < 0.99)).any()  # some are mixed


def test_resuming_at_twenty_steps(batches, whole):
    starts = np.random.default_rng(1).choice(STEPS, 20, replace=False)
    for number, start in enumerate(starts.tolist()):
        threads, machines = WAYS[number % len(WAYS)]
        assert_same(batches(start, 2, threads, machines), whole[start : start + 2])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("threads", "machines"), WAYS)
def test_resuming_at_twenty_steps_in_every_way(batches, threads, machines):
    whole = batches(0, STEPS + 2, 1, 1, EVERYTHING)
    for start in np.random.default_rng(threads).choice(STEPS, 20, replace=False).tolist():
        assert_same(batches(start, 2, threads, machines, EVERYTHING), whole[start : start + 2])
