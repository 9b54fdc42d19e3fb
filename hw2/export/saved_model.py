"""A SavedModel: bytes of picture files in, class names and probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from hw2.export import picture, resize
from hw2.input import preprocess
from hw2.input.preprocess import Preprocessing


def write(
    path: Path,
    model: tf.Module,
    probabilities: Callable[[tf.Tensor], tf.Tensor],
    p: Preprocessing,
    class_names: Sequence[str],
    max_pixels: int,
) -> None:
    """Writes a folder whose signature `serving_default` takes `content`, strings `[N]`.

    It gives `class_names`, strings `[N, classes]`, the likeliest first, and `probabilities`,
    float32 `[N, classes]`, in that order.

    Args:
      path: Of the folder.
      model: Whose variables go with it.
      probabilities: From images `[N, H, W, C]` as the model sees them to `[N, classes]`.
      p: How a picture is prepared.
      class_names: In the order of the logits.
      max_pixels: Larger pictures are refused.
    """

    def prepared(content: tf.Tensor) -> tf.Tensor:
        image, whole = picture.decoded(content, p.short_side, max_pixels)
        return preprocess.evaluation(resize.square(image, p.short_side, whole), p)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "content")], autograph=False)
    def classify(content: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = tf.TensorSpec([p.image_size, p.image_size, p.channels])
        images = tf.map_fn(prepared, content, fn_output_signature=spec)
        best, classes = tf.math.top_k(probabilities(images), len(class_names))
        names = [name.encode("utf-8", "surrogateescape") for name in class_names]
        return {"class_names": tf.gather(tf.constant(names), classes), "probabilities": best}

    module = tf.Module()
    module.model, module.classify = model, classify
    tf.saved_model.save(module, str(path), signatures={"serving_default": classify})
