"""The batches of a training, on all of its devices."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from hw2.config.settings import Config
from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.input.pipeline import Part
from hw2.input.stream import order
from hw2.jobs.spec import preprocessing
from hw2.jobs.start import Start
from hw2.machines.workers import Workers


@dataclasses.dataclass(frozen=True)
class Batches:
    """The batches of a training, and which examples are in them.

    Attributes:
      training: Endless, from the step where training starts.
      validation: Every held-out example once.
      examples: Where both come from.
      indices: From steps done before to the indices of the examples in the next training batch.
    """

    training: Iterable[tuple]
    validation: Iterable[tuple]
    examples: Examples
    indices: Callable[[int], np.ndarray]

    def names(self, step: int) -> list[str]:
        """Names the pictures in the training batch that follows `step` others."""
        return [self.examples.names[index] for index in self.indices(step)]


def make_batches(config: Config, workers: Workers, start: Start, start_step: int) -> Batches:
    """Makes the batches, and divides the memory for decoded pictures between both parts.

    Args:
      config: The settings.
      workers: Each loads its own part of every batch.
      start: The data and its split.
      start_step: Training batches that were consumed before.
    """
    examples, validation = start.examples, start.validation
    validation_mb = config.cache_mb * len(validation) // len(examples)
    prepared = preprocessing(start.spec)
    if config.dry_run:
        validation = validation[: config.batch_size]

    def evaluated(*part: int) -> tf.data.Dataset:
        return pipeline.evaluation_batches(
            examples,
            validation,
            prepared,
            batch_size=config.batch_size,
            cache_mb=validation_mb,
            part=Part(*part),
        )

    def trained(*part: int) -> tf.data.Dataset:
        return pipeline.training_batches(
            examples,
            start.training,
            prepared,
            batch_size=config.batch_size,
            seed=config.seed,
            start_step=start_step,
            cache_mb=config.cache_mb - validation_mb,
            part=Part(*part),
            mixup=config.mixup,
            cutmix=config.cutmix,
            since_step=start.data_since,
        )

    def indices(step: int) -> np.ndarray:
        positions = step * config.batch_size + np.arange(config.batch_size)
        since = start.data_since * config.batch_size
        count = len(start.training)
        return start.training[order.at(positions, count, config.seed, since=since)]

    held_out = workers.distribute(evaluated)
    return Batches(workers.distribute(trained), held_out, examples, indices)


def make_test_batches(
    config: Config, workers: Workers, start: Start, test: Examples
) -> Iterable[tuple]:
    """Makes the batches of the test data, each picture once; a dry run has a single batch."""
    count = min(len(test), config.batch_size) if config.dry_run else len(test)

    def tested(*part: int) -> tf.data.Dataset:
        return pipeline.evaluation_batches(
            test,
            np.arange(count),
            preprocessing(start.spec),
            batch_size=config.batch_size,
            cache_mb=0,
            part=Part(*part),
        )

    return workers.distribute(tested)
