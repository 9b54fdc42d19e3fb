"""The training pictures whose features are nearest to those of a picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.input.transforms.preprocess import Preprocessing
from hw2.jobs import data

MOST = 20_000  # training pictures that are looked at
MOST_BYTES = 256 * 2**20  # of their features, in float32

Extract = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Pictures by the direction of their features.

    Attributes:
      indices: `[N]`, which examples they are.
      directions: `[N, F]` float32, their features scaled to length 1.
      total: How many pictures there are; N is less where they are too many.
    """

    indices: np.ndarray
    directions: np.ndarray
    total: int

    def nearest(self, features: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Finds the pictures of the largest cosine.

        Args:
          features: `[M, F]`.
          count: How many to find; no more than there are.

        Returns:
          Which examples, `[M, count]`, the nearest first, and their cosines. Features that are
          all 0, or not finite, are like none: their cosines are 0.
        """
        cosines = _directions(features) @ self.directions.T  # [M, N]
        count = min(count, cosines.shape[1])
        rows = np.argpartition(-cosines, count - 1, 1)[:, :count]
        order = np.argsort(-np.take_along_axis(cosines, rows, 1), 1, kind="stable")
        rows = np.take_along_axis(rows, order, 1)
        return self.indices[rows], np.take_along_axis(cosines, rows, 1)


def of(
    extract: Extract,
    examples: Examples,
    indices: np.ndarray,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    most: int = MOST,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Neighbours:
    """Computes the features of pictures, or of a sample of them, the same every time.

    Args:
      extract: From images to features, see `hw2.jobs.extractor`.
      examples: The data.
      indices: Which of them.
      preprocessing: That of the training.
      batch_size: Pictures at a time.
      most: How many pictures to take at most; fewer if their features need more than `MOST_BYTES`.
      report: Called with the number of pictures done and in all. It may end the work by raising.

    Raises:
      DataError: A picture cannot be read.
    """
    p = preprocessing
    size = int(tf.size(extract(tf.zeros([1, p.image_size, p.image_size, p.channels]))[0]))
    taken = data.sample(indices, max(1, min(most, MOST_BYTES // (4 * size))))
    found = np.zeros([len(taken), size], np.float32)
    batches = pipeline.evaluation_batches(examples, taken, p, batch_size=batch_size, cache_mb=0)
    compute = tf.function(lambda images: extract(images)[0], autograph=False)
    done = 0
    with pipeline.naming_errors():
        for images, _, weights in batches:
            rows = compute(images).numpy()[weights.numpy() > 0]
            found[done : done + len(rows)] = _directions(rows)
            done += len(rows)
            report(done, len(taken))
    return Neighbours(taken, found, len(indices))


def _directions(features: np.ndarray) -> np.ndarray:
    """Scales features to length 1, float32 `[M, F]`; what is not finite becomes 0."""
    x = np.reshape(features, [len(features), -1]).astype(np.float32)
    x = np.where(np.isfinite(x).all(1, keepdims=True), x, 0)
    largest = np.abs(x).max(1, keepdims=True, initial=0)  # or the squares could overflow
    x = x / np.maximum(largest, np.finfo(np.float32).tiny)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
