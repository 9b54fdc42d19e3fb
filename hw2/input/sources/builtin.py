"""Built-in data sets, by name: on this machine already, or downloaded and verified."""

from __future__ import annotations

import hashlib
import os

import numpy as np

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.sources import arrays, idx

PARTS = {"digits": ("train",), "fashion_mnist": ("train", "test")}
NAMES = tuple(PARTS)

FASHION_FOLDER = "/usr/share/datasets/fashion-mnist"  # of Debian's package dataset-fashion-mnist
FASHION_CLASSES = (  # github.com/zalandoresearch/fashion-mnist
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FASHION_SHA256 = {  # of the bytes of the images followed by the labels
    "train": "16d82e2b505296aa2b78bd5ea0992634f30419a4c97def7c907d154a35ac6157",
    "test": "9f1ec356a747bfe4ebab3cfb722d3694c9ca737e2570f6f90cf31d7b6fd689d4",
}


def load(name: str, part: str) -> Examples:
    """Reads a part, "train" or "test", of the data set called `name`.

    Raises:
      DataError: The data set has no such part, cannot be downloaded, or differs from the original.
    """
    return {"digits": _digits, "fashion_mnist": _fashion_mnist}[name](part)


def _digits(part: str) -> Examples:
    """Reads 1797 scans of handwritten digits, 8x8, which come with scikit-learn."""
    if part != "train":
        raise DataError(
            f"no {part} part in digits - it has one part, train; set a part of it aside for testing"
        )
    from sklearn.datasets import load_digits  # takes a second, and is rarely needed

    data = load_digits()
    images = np.rint(data.images * (255 / 16)).astype(np.uint8)  # the scans have levels 0 to 16
    return arrays.examples(images[..., np.newaxis], data.target, [str(d) for d in range(10)])


def _fashion_mnist(part: str) -> Examples:
    """Reads 60,000 or 10,000 photographs of clothes, 28x28, arxiv.org/abs/1708.07747."""
    on_disk = idx.is_in(FASHION_FOLDER)
    images, labels = idx.read_part(FASHION_FOLDER, part) if on_disk else _fetch(part)
    digest = hashlib.sha256(images.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
    if digest != FASHION_SHA256[part]:
        where = FASHION_FOLDER if on_disk else os.path.join("~", ".keras", "datasets")
        raise DataError(
            f"bad fashion_mnist in {where} - SHA-256 {digest[:12]}... of the {part} part is not "
            "the original's; remove it and fetch it again"
        )
    return arrays.examples(images[..., np.newaxis], labels, FASHION_CLASSES)


def _fetch(part: str) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf  # takes three seconds, and is not needed if the files are there

    try:
        train, test = tf.keras.datasets.fashion_mnist.load_data()
    except Exception as error:  # a plain `Exception` is what Keras raises
        raise DataError(
            f"no fashion_mnist in {FASHION_FOLDER} - and fetching it failed; "
            "apt-get install dataset-fashion-mnist"
        ) from error
    return test if part == "test" else train
