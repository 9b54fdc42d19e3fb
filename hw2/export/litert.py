"""LiteRT, formerly TensorFlow Lite: one file for small machines, which uses built-in ops only."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.export import classifier as classifiers
from hw2.export.classifier import Answer, Classifier


def write(
    classifier: Classifier,
    path: Path,
    about: Mapping[str, str],
    samples: Sequence[np.ndarray] = (),
) -> None:
    """Writes a file that maps uint8 `[1, h, w, 3]` of any size to float32 `[1, classes]`.

    With distances there is a second output, float32 `[1]`.

    Args:
      classifier: What to write.
      path: The file.
      about: JSON by name. Each becomes a file in a zip archive that is appended to the model:
        `unzip -p FILE class_names.json`.
      samples: Training images `[h, w, 3]`. If given, the model's weights and activations are
        quantized to 8 bits; the preprocessing and the last softmax are not.
    """
    with ops.portable():
        function = classifier.portable().get_concrete_function()
    converter = _converter(function, classifier)
    with _quiet():
        content = converter.convert()
        if samples:
            content = _int8(_converter(function, classifier), content, samples)
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:  # as TensorFlow Lite keeps associated files
        for name, text in about.items():
            archive.writestr(f"{name}.json", text)


def load(path: Path) -> Callable[[np.ndarray], Answer]:
    """Loads the file; the function returned maps pixels `[h, w, 3]` to what it answers."""
    with _quiet():
        interpreter = tf.lite.Interpreter(str(path))
    run = interpreter.get_signature_runner()

    def classify(image: np.ndarray) -> Answer:
        return Answer(**{name: rows[0] for name, rows in run(picture=image[None]).items()})

    return classify


def _converter(function: tf.types.experimental.ConcreteFunction, module: tf.Module):
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    return converter


def _int8(converter, content: bytes, samples: Sequence[np.ndarray]) -> bytes:
    """Converts again, with 8 bits in the model only: the scaling of images must stay exact."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops.insert(0, tf.lite.OpsSet.TFLITE_BUILTINS_INT8)

    def pictures() -> Iterator[list[np.ndarray]]:
        for image in samples:
            yield [image[None]]

    converter.representative_dataset = pictures
    names = {t["name"] for t in tf.lite.Interpreter(model_content=content).get_tensor_details()}
    kept = [n for n in names if f"{classifiers.PREPARE}/" in n or f"{classifiers.ANSWER}/" in n]
    kept += [part for name in kept for part in name.split(";")]
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=sorted(set(kept)))
    debugger = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=pictures, debug_options=options
    )
    return debugger.get_nondebug_quantized_model()


class _quiet(warnings.catch_warnings):
    """Silences the warning that `tf.lite` will move to a separate package."""

    def __enter__(self):
        super().__enter__()
        warnings.filterwarnings("ignore", ".*tf.lite", UserWarning)
        warnings.filterwarnings("ignore", ".*LiteRT", UserWarning)
