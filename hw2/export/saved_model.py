"""TensorFlow's SavedModel, which takes the bytes of image files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from hw2 import ops
from hw2.export.classifier import Answer, Classifier


def write(classifier: Classifier, path: Path, about: Mapping[str, str]) -> None:
    """Writes a folder with two signatures.

    "serving_default" takes `pictures`, strings `[N]`, the bytes of files; "pixels" takes
    `picture`, uint8 `[h, w, 3]`. Both return `class_names` and `probabilities`, `[N, classes]`,
    the most likely first, and with distances `distance`, `[N]`.

    Args:
      classifier: What to write.
      path: The folder.
      about: JSON by name. Each becomes a file in `assets.extra`, TensorFlow's place for what the
        graph does not read.
    """
    files = tf.TensorSpec([None], tf.string, name="pictures")
    pixels = tf.TensorSpec([None, None, 3], tf.uint8, name="picture")
    with ops.portable():
        signatures = {
            name: tf.function(call, input_signature=[spec], autograph=False)
            for name, call, spec in (
                ("serving_default", classifier.of_files, files),
                ("pixels", classifier.of_pixels, pixels),
            )
        }
        tf.saved_model.save(classifier, path, signatures)
    extra = path / "assets.extra"
    extra.mkdir()
    for name, text in about.items():
        (extra / f"{name}.json").write_text(text, encoding="utf-8")


def load(path: Path, classifier: Classifier) -> Callable[[bytes], Answer]:
    """Loads the folder; the function returned maps the bytes of a file to what it answers."""
    loaded = tf.saved_model.load(path)  # kept by `classify`, or its variables would go
    number = {name: place for place, name in enumerate(classifier.class_names)}

    def classify(content: bytes) -> Answer:
        answer = loaded.signatures["serving_default"](tf.constant([content]))
        found = {name: value.numpy()[0] for name, value in answer.items()}
        places = [number[name] for name in found["class_names"]]
        result = np.empty(len(places), np.float32)
        result[places] = found["probabilities"]
        return Answer(result, found.get("distance"))

    return classify
