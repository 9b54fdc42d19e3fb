"""Pictures from Python's side into `tf.data`, and their errors back out of it."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.stream.memory_cache import Cache

CHUNK = 16  # pictures in one call of Python, which takes a third off the cost of one call for each
NO_PICTURE = -1  # the index of a blank one, of label 0 and weight 0

_failures: collections.deque[DataError] = collections.deque(maxlen=16)  # of the loading threads


def stream(
    examples: Examples,
    starts: tf.data.Dataset,
    find: Callable[[np.ndarray], np.ndarray],
    change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    *,
    short_side: int,
    cache_mb: int,
    parallel_calls: int,
) -> tf.data.Dataset:
    """Loads and changes the pictures at consecutive positions.

    Args:
      examples: Where pictures come from.
      starts: Every `CHUNK`th position, int64.
      find: From positions, `[CHUNK]` int64, to the indices of the examples there.
      change: From a uint8 picture `[h, w, channels]` and its position to what the model sees.
      short_side: Of the loaded pictures.
      cache_mb: Memory for loaded pictures.
      parallel_calls: Threads that load, and threads that change.

    Returns:
      A dataset of changed pictures, int32 labels and float32 weights, in order.
    """
    load = _loader(examples, find, short_side, cache_mb)

    def chunk(start: tf.Tensor) -> tuple[tf.Tensor | tf.RaggedTensor, ...]:
        dtypes = [tf.int64, tf.int32, tf.float32, tf.int64, tf.uint8]
        *columns, content = tf.numpy_function(load, [start], dtypes, stateful=False)
        shapes = [[CHUNK], [CHUNK], [CHUNK], [CHUNK, 3]]
        columns = [tf.ensure_shape(c, shape) for c, shape in zip(columns, shapes, strict=True)]
        lengths = tf.reduce_prod(columns[-1], axis=1)
        content = tf.ensure_shape(content, [None])
        rows = tf.RaggedTensor.from_row_lengths(content, lengths, validate=False)
        return *columns, rows

    def prepare(
        position: tf.Tensor, label: tf.Tensor, weight: tf.Tensor, shape: tf.Tensor, row: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        image = tf.reshape(row, [shape[0], shape[1], examples.channels])
        return change(image, position), label, weight

    options = dict(num_parallel_calls=parallel_calls, deterministic=True)
    return starts.map(chunk, **options).unbatch().map(prepare, **options)


@contextlib.contextmanager
def naming_errors() -> Iterator[None]:
    """Raises the `DataError` of a loading thread in place of the error TensorFlow made of it."""
    try:
        yield
    except tf.errors.OpError as error:
        for failure in reversed(_failures):
            if str(failure) in error.message:
                raise failure from None
        raise


def _loader(
    examples: Examples, find: Callable[[np.ndarray], np.ndarray], short_side: int, cache_mb: int
) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """From the start of a chunk to positions, labels, weights, shapes, and all bytes in a row."""
    cached = Cache(lambda index: examples.load(index, short_side), megabytes=cache_mb)
    blank = np.zeros([short_side, short_side, examples.channels], np.uint8)

    def load(start: np.ndarray) -> tuple[np.ndarray, ...]:
        positions = start + np.arange(CHUNK)
        indices = find(positions)
        present = indices != NO_PICTURE
        try:
            pictures = [cached(int(i)) if i != NO_PICTURE else blank for i in indices]
        except DataError as error:
            _failures.append(error)
            raise
        labels = np.where(present, examples.labels[indices], np.int32(0))
        shapes = np.array([picture.shape for picture in pictures], np.int64)
        content = np.concatenate([picture.ravel() for picture in pictures])
        return positions, labels, present.astype(np.float32), shapes, content

    return load
