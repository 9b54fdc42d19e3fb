"""A SavedModel that is asked for no picture at all, for one, and for some."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2 import ops
from hw2.export import saved_model
from hw2.export.classifier import Classifier
from hw2.input.transforms.preprocess import Preprocessing
from hw2.layers.conv import Conv
from hw2.layers.dense import Dense
from hw2.layers.pool import global_mean
from hw2.layers.sequential import Sequential

NAMES = [b"cat", b"dog", b"cow"]
P = Preprocessing(8, 3, 8, 8, False, 0.0, 1.0, 1.0)


def convolutions():
    """TensorFlow's first convolution, of no image, has the wrong channels for the second one."""
    rng = np.random.default_rng(0)
    layers = {
        "conv1": Conv(3, 4, relu=True, rng=rng),
        "conv2": Conv(4, 6, relu=True, rng=rng),
        "mean": global_mean,
        "head": Dense(6, 3, rng=rng),
    }
    return Sequential(layers)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "saved_model"
    model = convolutions()
    saved_model.write(Classifier(model, NAMES, P, tf.nn.softmax, max_pixels=10**6), path, {})
    loaded = tf.saved_model.load(str(path))
    return lambda contents: loaded.signatures["serving_default"](
        tf.constant(contents, tf.string, [len(contents)])
    )


def png(seed):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.mark.fault(103)
def test_no_picture_has_an_empty_answer(served):
    for _ in range(2):
        answer = served([])
        assert {name: tuple(value.shape) for name, value in answer.items()} == {
            "class_names": (0, 3),
            "probabilities": (0, 3),
        }
        assert answer["class_names"].dtype == tf.string


@pytest.mark.fault(103)
def test_pictures_after_no_picture_are_answered_as_ever(served):
    served([])
    both = served([png(0), png(1)])
    for row in range(2):
        one = served([png(row)])
        assert one["class_names"].numpy().tolist() == both["class_names"].numpy()[[row]].tolist()
        np.testing.assert_allclose(
            one["probabilities"], both["probabilities"].numpy()[[row]], rtol=1e-6
        )


@pytest.mark.fault(103)
@pytest.mark.parametrize("traced", [False, True])
def test_no_picture_has_an_empty_answer_before_it_is_saved(traced):
    model = convolutions()
    call = Classifier(model, NAMES, P, tf.nn.softmax, max_pixels=10**6).of_files
    if traced:
        call = tf.function(
            call, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
        )
    with ops.algorithm("native"):
        answer = call(tf.zeros([0], tf.string))
    assert answer["probabilities"].shape == answer["class_names"].shape == (0, 3)
