"""Batches: endless and resumable for training, every image once for evaluation."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hw2.input.examples import Examples
from hw2.input.files.frame import Frame, Size
from hw2.input.stream import order
from hw2.input.stream.loading import CHUNK, NO_IMAGE, stream
from hw2.input.stream.loading import naming_errors as naming_errors
from hw2.input.stream.order import Order
from hw2.input.transforms import mixing, preprocess
from hw2.input.transforms.preprocess import Preprocessing


@dataclasses.dataclass(frozen=True)
class Part:
    """The rows of every batch that one machine of a cluster loads, and its number of devices."""

    index: int = 0
    machines: int = 1
    devices: int = 1

    def everywhere(self, position, batch_size: int):
        """Maps positions in this machine's stream of images to positions in the whole stream."""
        rows = batch_size // self.machines
        return position // rows * batch_size + self.index * rows + position % rows


WHOLE = Part()
PREFETCHED = 2  # batches: enough to hide the work of loading; more would only take memory


def training_batches(
    examples: Examples,
    indices: Sequence[int] | np.ndarray,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    cache_mb: int = 1024,
    parallel_calls: int = tf.data.AUTOTUNE,
    part: Part = WHOLE,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    since_step: int = 0,
    balanced: bool = False,
) -> tf.data.Dataset:
    """Streams shuffled epochs one after another, without gaps between them.

    Example `i` of batch `k` is at position `k * batch_size + i`. Position and seed alone determine
    the image and its augmentation, so batches are bit-identical wherever the stream starts.

    Args:
      examples: The examples.
      indices: `[N]` indices of the examples to train on; each comes once in an epoch, unless
        the order is balanced.
      preprocessing: How to augment and standardize an image.
      batch_size: Images in a batch of all devices together; it may exceed N.
      seed: At least 0.
      start_step: Number of batches of this stream that were consumed before.
      cache_mb: Memory for decoded images, in MB.
      parallel_calls: Number of threads that load, and of threads that augment images.
      part: The rows of each batch that this machine loads, in one batch for each of its devices.
      mixup: Alpha of mixup; 0 for none. Its random numbers depend on seed and step.
      cutmix: Alpha of cutmix; 0 for none.
      since_step: Step at which these examples replaced others, where an epoch begins.
      balanced: Whether every class comes equally often, see `order.balanced`.

    Returns:
      Endless images `[batch_size, side, side, channels]` and int32 labels `[batch_size]`, or
      float32 `[batch_size, classes]` where images have several classes or are mixed; to be
      iterated within `naming_errors`.

    Raises:
      ValueError: There are no examples to train on, a number is out of range, or the order is to
        be balanced although images have several classes.
    """
    if seed < 0 or start_step < 0:
        raise ValueError(f"seed and start_step must be at least 0, got {seed} and {start_step}.")
    chosen = _checked(examples, indices, batch_size)
    places = _Places(
        chosen, batch_size, seed, part, since_step, order_of(examples, chosen, seed, balanced)
    )
    dataset = stream(
        examples,
        tf.data.Dataset.counter(start_step * batch_size // part.machines, CHUNK),
        places.find,
        functools.partial(places.augment, preprocessing),
        size=loaded_size(preprocessing),
        cache_mb=cache_mb,
        parallel_calls=parallel_calls,
    )
    dataset = _batched(dataset, batch_size, part, tf.data.INFINITE_CARDINALITY).map(_unweighted)
    if mixup or cutmix:
        mix = _mixer(len(examples.class_names), batch_size, part, seed, mixup, cutmix)
        numbered = dataset.enumerate(start_step * part.devices)
        dataset = numbered.map(mix, num_parallel_calls=parallel_calls, deterministic=True)
    return dataset.prefetch(PREFETCHED)


def order_of(examples: Examples, indices: np.ndarray, seed: int, balanced: bool) -> Order:
    """The order in which examples are trained on; see `training_batches`."""
    if balanced and examples.several:
        raise ValueError("balanced must be False where images have several classes, got True.")
    if balanced:
        return order.balanced(np.asarray(examples.labels)[indices], seed)
    return order.uniform(len(indices), seed)


def _unweighted(images: tf.Tensor, labels: tf.Tensor, _: tf.Tensor) -> tuple:
    return images, labels


class _Places(NamedTuple):
    """Which example is at a position of the training stream, and how it is augmented there."""

    indices: np.ndarray
    batch_size: int
    seed: int
    part: Part
    since_step: int
    order: Order

    def find(self, positions: np.ndarray) -> np.ndarray:
        positions = self.part.everywhere(positions, self.batch_size)
        since = self.since_step * self.batch_size
        return self.indices[self.order(positions, since=since)]

    def augment(
        self, preprocessing: Preprocessing, image: tf.Tensor, position: tf.Tensor
    ) -> tf.Tensor:
        position = self.part.everywhere(position, self.batch_size)
        seed = tf.random.experimental.stateless_fold_in(
            tf.constant([self.seed, 0], tf.int64), position
        )
        return preprocess.training(image, seed, preprocessing)


def evaluation_batches(
    examples: Examples,
    indices: Sequence[int] | np.ndarray,
    preprocessing: Preprocessing,
    *,
    batch_size: int,
    cache_mb: int = 1024,
    parallel_calls: int = tf.data.AUTOTUNE,
    part: Part = WHOLE,
) -> tf.data.Dataset:
    """Batches the examples once, in the order of `indices`.

    Args:
      examples: The examples.
      indices: `[N]` indices of the examples to evaluate.
      preprocessing: How to crop and standardize an image.
      batch_size: Images in a batch of all devices together; rows of weight 0 fill the last batch.
      cache_mb: Memory for decoded images, in MB, kept as long as the dataset.
      parallel_calls: Number of threads that load, and of threads that preprocess images.
      part: The rows of each batch that this machine loads, in one batch for each of its devices.

    Returns:
      ceil(N / batch_size) batches of float32 `[batch_size, image_size, image_size, channels]`,
      int32 labels `[batch_size]`, or float32 `[batch_size, classes]` where images have several
      classes, and float32 weights `[batch_size]`, 1 for an image and 0 for filling; to be iterated
      within `naming_errors`.

    Raises:
      ValueError: There are no examples to evaluate, or a number is out of range.
    """
    indices = _checked(examples, indices, batch_size)
    batches = -(-len(indices) // batch_size)
    rows = np.append(indices, NO_IMAGE)
    mine = batches * batch_size // part.machines

    def find(positions: np.ndarray) -> np.ndarray:
        return rows[np.minimum(part.everywhere(positions, batch_size), len(indices))]

    dataset = stream(
        examples,
        tf.data.Dataset.range(0, mine, CHUNK),
        find,
        lambda image, position: preprocess.evaluation(image, preprocessing),
        size=loaded_size(preprocessing),
        cache_mb=cache_mb,
        parallel_calls=parallel_calls,
    )
    dataset = _batched(dataset.take(mine), batch_size, part, batches * part.devices)
    return dataset.prefetch(PREFETCHED)


def loaded_size(preprocessing: Preprocessing) -> Size:
    """The size to which images are loaded: their short side, or a frame that holds the whole."""
    p = preprocessing
    return p.short_side if p.fit == "crop" else Frame(p.short_side, p.fit, round(p.fill))


def _mixer(
    classes: int, batch_size: int, part: Part, seed: int, mixup: float, cutmix: float
) -> Callable[[tf.Tensor, tuple], tuple[tf.Tensor, tf.Tensor]]:
    """Makes the function that mixes a batch for one device, given its number in this machine."""
    rows = batch_size // (part.machines * part.devices)
    mixing_seed = tf.constant([seed, 2], tf.int64)  # 0 is for augmentation, 1 for dropout

    def mix(number: tf.Tensor, batch: tuple) -> tuple[tf.Tensor, tf.Tensor]:
        images, labels = batch
        return mixing.mixed(
            images,
            tf.one_hot(labels, classes) if len(labels.shape) == 1 else labels,
            tf.random.experimental.stateless_fold_in(mixing_seed, number // part.devices),
            first=(part.index * part.devices + number % part.devices) * rows,
            batch_size=batch_size,
            mixup_alpha=mixup,
            cutmix_alpha=cutmix,
        )

    return mix


def _checked(
    examples: Examples, indices: Sequence[int] | np.ndarray, batch_size: int
) -> np.ndarray:
    indices = np.asarray(indices, np.int64)
    if not len(indices) or indices.min() < 0 or indices.max() >= len(examples):
        raise ValueError(
            f"indices must be in [0, {len(examples)}), at least one of them, got {indices}."
        )
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    return indices


def _batched(
    dataset: tf.data.Dataset, batch_size: int, part: Part, batches: int
) -> tf.data.Dataset:
    """Makes batches of one static shape and a known number, which a strategy can distribute."""
    options = tf.data.Options()
    sharding = options.experimental_distribute
    sharding.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA  # there are no files
    rows = batch_size // (part.machines * part.devices)
    dataset = dataset.batch(rows, drop_remainder=True)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batches))
    return dataset.with_options(options)
