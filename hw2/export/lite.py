"""A LiteRT file: pixels in, probabilities out, without select ops."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from hw2.export import resize
from hw2.input import preprocess
from hw2.input.preprocess import Preprocessing


def floating(
    probabilities: Callable[[tf.Tensor], tf.Tensor], p: Preprocessing, channels: int
) -> bytes:
    """Converts to float32: uint8 `[h, w, channels]` of any size in, float32 `[1, classes]` out."""

    def classify(pixels: tf.Tensor) -> tf.Tensor:
        image = preprocess.with_channels(resize.square(pixels, p.short_side), p)
        image = preprocess.standardized(resize.levels(image, p.image_size), p)
        return probabilities(image[tf.newaxis])

    return _converted(classify, tf.TensorSpec([None, None, channels], tf.uint8, "pixels"))


def quantized(
    probabilities: Callable[[tf.Tensor], tf.Tensor],
    p: Preprocessing,
    images: Iterable[np.ndarray],
) -> bytes:
    """Converts to int8: float32 `[1, image_size, image_size, channels]`, standardized, in.

    Args:
      probabilities: From such images to float32 `[N, classes]`.
      p: How a picture was prepared.
      images: Of the training part, `[1, ...]` each, by which ranges are found.
    """
    spec = tf.TensorSpec([1, p.image_size, p.image_size, p.channels], name="images")
    return _converted(probabilities, spec, lambda: ([image] for image in images))


def runner(model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    """Runs such a file on one input, whatever its size."""
    interpreter = _interpreter(model)
    place = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]

    def run(value: np.ndarray) -> np.ndarray:
        interpreter.resize_tensor_input(place, value.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(place, value)
        interpreter.invoke()
        return interpreter.get_tensor(result)[0]

    return run


def _interpreter(model: bytes) -> tf.lite.Interpreter:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a package that is to come
        return tf.lite.Interpreter(model_content=model)


def _converted(function: Callable, spec: tf.TensorSpec, examples: Callable | None = None) -> bytes:
    traced = tf.function(function, input_signature=[spec], autograph=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [traced.get_concrete_function()], traced
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if examples:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = examples
        return converter.convert()
