"""The images on which an export is compared with prediction."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hw2.errors import DataError
from hw2.export.classifier import Classifier
from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.input.files import decode
from hw2.input.files.frame import Size
from hw2.input.sources import arrays
from hw2.jobs import spec
from hw2.jobs.guess import Guesser
from hw2.runs.checkpoints import Checkpoint


class Picture(NamedTuple):
    """A held-out image in the form that the export takes, and what prediction says of it."""

    name: str
    given: bytes | np.ndarray
    label: int | np.ndarray  # a class, or [classes], 1 where the image has it
    expected: np.ndarray  # [classes]
    distance: float | None = None


def choose(
    examples: Examples,
    indices: np.ndarray,
    count: int,
    classifier: Classifier,
    *,
    files: bool = False,
) -> tuple[dict[int, bytes | np.ndarray], dict[str, int]]:
    """Draws images at random, in the form in which the export takes them.

    Args:
      examples: The data.
      indices: The examples to draw from.
      count: How many images to draw, at most.
      classifier: What is exported.
      files: Whether the export takes the bytes of a file; else it takes all pixels.

    Returns:
      Bytes or pixels by index; and how many files are left out because TensorFlow cannot decode
      them, by the reason.

    Raises:
      DataError: No image is left, or a file is bad.
    """
    chosen: dict[int, bytes | np.ndarray] = {}
    refused: dict[str, int] = {}
    content = tf.TensorSpec([], tf.string)
    decode_in_graph = tf.function(classifier.decoded, input_signature=[content], autograph=False)
    for index in map(int, np.random.default_rng(0).permutation(indices)):
        if len(chosen) == count:
            break
        content = _content(examples, index, classifier)
        if not files:
            name, limit = examples.names[index], classifier.max_pixels
            seen = decode.inspect_in(content, name, decode=False, max_pixels=limit)
            short_side = min(seen.width, seen.height)
            chosen[index] = decode.picture_in(content, name, short_side, max_pixels=limit)
            continue
        try:
            decode_in_graph(content)
        except tf.errors.InvalidArgumentError as error:
            found = re.search(r"assertion failed: \[([^\];]*)", error.message)
            words = found[1] if found else "not decoded by TensorFlow"
            refused[words] = refused.get(words, 0) + 1
        else:
            chosen[index] = content
    if not chosen:
        raise DataError(
            f"no picture to compare on - of {len(indices)} held out TensorFlow decodes none; "
            "give JPEG or PNG files as --test_data_path"
        )
    return chosen, refused


def predicted(
    examples: Examples,
    inputs: Mapping[int, bytes | np.ndarray],
    checkpoint: Checkpoint,
    guess: Guesser,
    batch_size: int,
    *,
    by_distance: bool = False,
) -> list[Picture]:
    """Classifies images as predict.py does; pixels as if they had come in a PNG file.

    Args:
      examples: The data.
      inputs: Bytes or pixels by index, from `choose`.
      checkpoint: The checkpoint that is exported.
      guess: From a batch of images to classes and probabilities, made by `hw2.jobs.guess.guesser`.
      batch_size: Images at a time.
      by_distance: Whether its confidences are negative distances.
    """

    def load(index: int, size: Size) -> np.ndarray:
        picture = inputs[index]
        if isinstance(picture, bytes):
            return examples.load(index, size)
        return decode.resize(picture, size)

    channels = next((3 for one in inputs.values() if not isinstance(one, bytes)), None)
    given = dataclasses.replace(examples, load=load, channels=channels or examples.channels)
    indices = list(inputs)
    preprocessing = spec.preprocessing(checkpoint.state["identity"])
    batches = pipeline.evaluation_batches(
        given, indices, preprocessing, batch_size=batch_size, cache_mb=0
    )
    rows: list[np.ndarray] = []
    distances: list[float | None] = []
    with pipeline.naming_errors():
        for images, _, _ in batches:
            classes, probabilities, _, sure = (value.numpy() for value in guess(images))
            distances += (-sure).tolist() if by_distance else [None] * len(sure)
            order = np.argsort(classes, 1)
            rows += list(np.take_along_axis(probabilities, order, 1))
    return [
        Picture(examples.names[index], picture, examples.labels[index], row, distance)
        for (index, picture), row, distance in zip(
            inputs.items(), rows, distances, strict=False
        )  # the last batch is padded
    ]


def _content(examples: Examples, index: int, classifier: Classifier) -> bytes:
    """The bytes of an image file; an image that came as an array becomes a PNG file."""
    if examples.content:
        return examples.content(index)
    return arrays.png(examples.load(index, pipeline.loaded_size(classifier.preprocessing)))
