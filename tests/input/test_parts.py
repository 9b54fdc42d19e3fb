"""Each machine loads its own rows of a batch and no others; together they are the batch."""

import numpy as np
import pytest

from hw2.input import pipeline
from hw2.input.pipeline import Part
from hw2.input.sources import builtin
from hw2.input.transforms.preprocess import Preprocessing

BATCH = 12


@pytest.fixture(scope="module")
def digits():
    return builtin.load("digits", "train")


def preprocessing():
    return Preprocessing(
        image_size=8,
        short_side=10,
        crop_size=8,
        flip=True,
        brightness=63.0,
        contrast_min=0.2,
        contrast_max=1.8,
        channels=1,
    )


def rows(make, parts, steps):
    """The batches of all parts, put together step by step."""
    streams = [iter(make(part)) for part in parts]
    batches = []
    for _ in range(steps):
        own = [
            next(stream)
            for part, stream in zip(parts, streams, strict=True)
            for _ in range(part.devices)
        ]
        batches.append([np.concatenate(column) for column in zip(*own, strict=True)])
    return batches


@pytest.mark.parametrize(("machines", "devices"), [(1, 1), (2, 1), (3, 2), (1, 4)])
def test_parts_together_are_the_batch(digits, machines, devices):
    chosen = np.arange(0, 1700, 53)  # 33 pictures: the last batch is not full, epochs overlap

    def training(part):
        return pipeline.training_batches(
            digits, chosen, preprocessing(), batch_size=BATCH, seed=3, start_step=5, part=part
        )

    def evaluation(part):
        return pipeline.evaluation_batches(
            digits, chosen, preprocessing(), batch_size=BATCH, part=part
        )

    parts = [Part(index, machines, devices) for index in range(machines)]
    for make, steps in ((training, 4), (evaluation, 3)):
        for ours, whole in zip(
            rows(make, parts, steps), rows(make, [pipeline.WHOLE], steps), strict=True
        ):
            for one, other in zip(ours, whole, strict=True):
                np.testing.assert_array_equal(one, other)
    counted = sum(batch[2].sum() for batch in rows(evaluation, parts, 3))
    assert counted == len(chosen)
