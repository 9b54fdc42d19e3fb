"""A trained model together with its preprocessing, as one function of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hw2.export import picture, resize
from hw2.input.transforms import preprocess
from hw2.input.transforms.preprocess import Preprocessing

PREPARE, ANSWER = "prepare", "answer"  # scopes of the ops before and after the model


class Answer(NamedTuple):
    """What an export says of an image: probabilities `[classes]`, and a distance if it has one."""

    probabilities: np.ndarray
    distance: float | None = None


class Classifier(tf.Module):
    """Maps images to probabilities; they are preprocessed as evaluation does."""

    def __init__(
        self,
        model: tf.Module,
        class_names: Sequence[bytes],
        preprocessing: Preprocessing,
        answers: Callable[[tf.Tensor], tf.Tensor],
        *,
        max_pixels: int,
        thresholds: Sequence[float] | None = None,
        measuring: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor | None]] | None = None,
    ):
        """Takes a model with its weights.

        Args:
          model: Called with a batch `[N, H, W, C]` and `training`.
          class_names: One for each logit.
          preprocessing: That of the training.
          answers: Maps logits to probabilities, `[N, classes]`.
          max_pixels: Larger images are refused.
          thresholds: Of each class, from which probability on an image has it, where images have
            several labels.
          measuring: Calls the model, and maps a batch to logits and to distances, `[N]`; None
            where there are none.
        """
        super().__init__()
        self.model, self.class_names = model, tuple(class_names)
        self.preprocessing, self.max_pixels = preprocessing, max_pixels
        self._answers = answers
        self._measure = measuring or (lambda images: (model(images, training=False), None))
        self.thresholds = None if thresholds is None else tuple(thresholds)

    def decoded(self, content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Decodes a file to uint8 `[h, w, 3]`; returns also its full height and width, `[2]`."""
        return picture.decoded(content, self.preprocessing.short_side, self.max_pixels)

    def prepared(self, image: tf.Tensor, whole: tf.Tensor | None = None) -> tf.Tensor:
        """Preprocesses uint8 `[h, w, 3]` to what the model sees, float32 `[H, W, C]`.

        Args:
          image: The image.
          whole: `[2]`, its full height and width, if it was decoded at a fraction of them.
        """
        p = self.preprocessing
        with tf.name_scope(PREPARE):
            square = resize.square(image, p.short_side, whole, fit=p.fit, fill=round(p.fill))
            levels = resize.levels(preprocess.with_channels(square, p), p.image_size)
            return preprocess.standardized(levels, p)

    def answer(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies what `prepared` makes, `[N, H, W, C]`.

        Returns:
          "probabilities" `[N, classes]`; and the "distance" to the nearest class, `[N]`, if
          images are rejected by it.
        """
        logits, distance = self._measure(images)
        with tf.name_scope(ANSWER):
            found = {"probabilities": self._answers(logits)}
        return found if distance is None else found | {"distance": distance}

    def of_files(self, contents: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies the bytes of N files, a string `[N]`.

        Returns:
          "class_names", strings `[N, classes]`, the most likely first, and their "probabilities";
          with thresholds also these, in the same order. "distance" `[N]`, if images are rejected
          by it. N may be 0.
        """
        side, channels = self.preprocessing.image_size, self.preprocessing.channels
        images = tf.map_fn(
            lambda content: self.prepared(*self.decoded(content)),
            contents,
            fn_output_signature=tf.TensorSpec([side, side, channels], tf.float32),
        )
        # TensorFlow's convolution of no image at all has a wrong shape, so it gets a blank one.
        count = tf.shape(contents)[0]
        blank = tf.zeros([tf.cast(count == 0, tf.int32), side, side, channels])
        found = self.answer(tf.concat([images, blank], 0))
        return self._sorted(**{name: value[:count] for name, value in found.items()})

    def of_pixels(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """Classifies one image, uint8 `[h, w, 3]`; returns what `of_files` does, N = 1."""
        return self._sorted(**self.answer(self.prepared(image)[None]))

    def portable(self) -> tf.types.experimental.PolymorphicFunction:
        """Makes the function for runtimes that support neither strings nor image files.

        Returns:
          From `picture`, uint8 `[1, h, w, 3]` of any size, to `probabilities`, float32
          `[1, classes]` in the order of the classes, and `distance`, float32 `[1]`, if images
          are rejected by it.
        """

        def classify(picture: tf.Tensor) -> dict[str, tf.Tensor]:
            return self.answer(self.prepared(picture[0])[None])

        spec = tf.TensorSpec([1, None, None, 3], tf.uint8, name="picture")
        return tf.function(classify, input_signature=[spec], autograph=False)

    def _sorted(self, probabilities: tf.Tensor, **more: tf.Tensor) -> dict[str, tf.Tensor]:
        best, classes = tf.math.top_k(probabilities, len(self.class_names))
        answer = {
            "class_names": tf.gather(tf.constant(self.class_names), classes),
            "probabilities": best,
            **more,
        }
        if self.thresholds is not None:
            of_class = tf.constant(self.thresholds, tf.float32)
            answer["thresholds"] = tf.gather(of_class, classes)
        return answer
