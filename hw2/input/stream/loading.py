"""Images from Python into `tf.data`, and errors from its threads back out of it."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.files import frame
from hw2.input.files.frame import Size
from hw2.input.stream.memory_cache import Cache

CHUNK = 16  # images per call into Python; a third cheaper than one call for each
NO_IMAGE = -1  # the index of a blank image, of label 0 and weight 0

_failures: collections.deque[DataError] = collections.deque(maxlen=16)  # in loading threads


def stream(
    examples: Examples,
    starts: tf.data.Dataset,
    find: Callable[[np.ndarray], np.ndarray],
    change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    *,
    size: Size,
    cache_mb: int,
    parallel_calls: int,
) -> tf.data.Dataset:
    """Loads and preprocesses the images at consecutive positions.

    Args:
      examples: The examples.
      starts: Every `CHUNK`th position, int64.
      find: Maps positions, `[CHUNK]` int64, to the indices of the examples there.
      change: Maps a uint8 image `[h, w, channels]` and its position to the model's input.
      size: Short side or frame of the loaded images, in pixels.
      cache_mb: Memory for loaded images, in MB.
      parallel_calls: Number of threads that load, and of threads that preprocess.

    Returns:
      A dataset of preprocessed images, labels and float32 weights, in order. A label is int32, or
      float32 `[classes]` of 0 and 1 where images have several classes.
    """
    load = _loader(examples, find, size, cache_mb)
    kind = tf.float32 if examples.several else tf.int32

    def chunk(start: tf.Tensor) -> tuple[tf.Tensor | tf.RaggedTensor, ...]:
        dtypes = [tf.int64, kind, tf.float32, tf.int64, tf.uint8]
        *columns, content = tf.numpy_function(load, [start], dtypes, stateful=False)
        shapes = [[CHUNK], [CHUNK, *examples.labels.shape[1:]], [CHUNK], [CHUNK, 3]]
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
    """Raises the `DataError` of a loading thread in place of TensorFlow's error about it."""
    try:
        yield
    except tf.errors.OpError as error:
        for failure in reversed(_failures):
            if str(failure) in error.message:
                raise failure from None
        raise


def _loader(
    examples: Examples, find: Callable[[np.ndarray], np.ndarray], size: Size, cache_mb: int
) -> Callable[[np.ndarray], tuple[np.ndarray, ...]]:
    """Makes the loader of chunks: from a start to positions, labels, weights, shapes and bytes."""
    cached = Cache(lambda index: examples.load(index, size), megabytes=cache_mb)
    side = frame.side_of(size)
    blank = np.zeros([side, side, examples.channels], np.uint8)

    def load(start: np.ndarray) -> tuple[np.ndarray, ...]:
        positions = start + np.arange(CHUNK)
        indices = find(positions)
        present = indices != NO_IMAGE
        try:
            images = [cached(int(i)) if i != NO_IMAGE else blank for i in indices]
        except DataError as error:
            _failures.append(error)
            raise
        labels = examples.labels[indices]
        labels[~present] = 0
        shapes = np.array([image.shape for image in images], np.int64)
        content = np.concatenate([image.ravel() for image in images])
        if examples.several:
            labels = labels.astype(np.float32)
        return positions, labels, present.astype(np.float32), shapes, content

    return load
