"""Networks of `tf.keras.applications`, with ImageNet's weights, a file's or new ones."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from hw2.errors import RunError

NONE, IMAGENET = "none", "imagenet"

# Statistics of ImageNet's red, green and blue in [0, 1], as torchvision, timm and Keras have them.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def application(
    make: Callable[..., tf.keras.Model], weights: str, *, top: bool = True
) -> tf.keras.Model:
    """Makes a network of `tf.keras.applications`, without softmax at its end.

    Args:
      make: The constructor, for example `tf.keras.applications.ResNet50`.
      weights: "imagenet", which Keras downloads once and keeps; a file that Keras wrote, `.h5`,
        `.weights.h5` or `.keras`, with the last layer or without; or "none".
      top: Whether to include the last layer, of 1,000 classes; otherwise the network ends in the
        mean over all positions.

    Raises:
      RunError: The weights cannot be downloaded or read.
    """
    if weights == IMAGENET:
        return _downloaded(make, top)
    if weights == NONE:
        return _new(make, top)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise RunError(
            f"no weights in {path} - there is no such file; give a file of Keras's weights, "
            "imagenet or none as --pretrained"
        )
    reasons = []
    for with_top in (top, not top):
        model = _new(make, with_top)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # of layers that Keras does not find
                model.load_weights(path)
        except (OSError, ValueError, KeyError, UserWarning) as error:
            reasons.append(" ".join(str(error).split())[:200])
            if isinstance(error, OSError):  # nothing that could be read at all
                break
            continue
        return model if with_top <= top else _without_last(make, model)
    raise RunError(
        f"bad weights in {path} - not those of Keras's {model.name}: {reasons[0]}; give another "
        "file, imagenet or none as --pretrained"
    )


def _new(
    make: Callable[..., tf.keras.Model], top: bool, weights: str | None = None
) -> tf.keras.Model:
    """Makes a model, for any image size unless it has its last layer."""
    rest = {"classifier_activation": None} if top else {"input_shape": (None, None, 3)}
    return make(include_top=top, weights=weights, pooling="avg", **rest)


def _without_last(make: Callable[..., tf.keras.Model], model: tf.keras.Model) -> tf.keras.Model:
    """Makes the same model without its last layer, for any image size."""
    result = _new(make, top=False)
    result.set_weights(model.get_weights()[:-2])
    return result


def _downloaded(make: Callable[..., tf.keras.Model], top: bool) -> tf.keras.Model:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # the bar of the download
            return _new(make, top, IMAGENET)
    except Exception as error:  # Keras has no class of its own for it
        home = os.environ.get("KERAS_HOME", os.path.join("~", ".keras"))
        why = " ".join(str(error).split())
        raise RunError(
            f"no ImageNet weights in {os.path.join(home, 'models')} - {why}; download that file "
            "where there is a network, put it into that folder or give its path as --pretrained, "
            "or begin with --pretrained=none"
        ) from error
