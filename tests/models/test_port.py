"""Our ResNet-50 and DenseNet-121 beside Keras's, with the same weights."""

import numpy as np
import pytest
import tensorflow as tf

from hw2.errors import RunError
from hw2.models import port, pretrained
from hw2.models.densenet import densenet121
from hw2.models.pretrained import DEVIATION, MEAN
from hw2.models.resnet import resnet50

SAME = 1e-5  # fifty layers in float32, summed in another order; seen: 7e-7
SIZE = 96

# Keras, when it saves under NumPy 2.
SAVING = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def their_resnet50():
    return randomized(tf.keras.applications.ResNet50)


@pytest.fixture(scope="module")
def their_densenet121():
    return randomized(tf.keras.applications.DenseNet121)


def randomized(make):
    """New weights, and biases and statistics that are not 0 and 1."""
    model = make(weights=None, classifier_activation=None, input_shape=(SIZE, SIZE, 3))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for v in layer.weights:
            if v.name in ("bias", "beta", "moving_mean"):
                v.assign(rng.normal(0, 0.3, v.shape))
            elif v.name in ("gamma", "moving_variance"):
                v.assign(rng.uniform(0.5, 1.5, v.shape))
    return model


def pictures():
    """Of very different brightness, or deep random networks see little difference."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (2, SIZE, SIZE, 3)) * [[[[100]]], [[[10]]]]
    return x.astype(np.float32)


def distance(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.max(np.abs(a - b)) / np.max(np.abs(b))


def test_resnet50_gives_the_logits_of_keras(their_resnet50):
    ours = new(resnet50)
    port.to_resnet50(their_resnet50, ours)
    x = pictures()
    theirs = their_resnet50(x, training=False).numpy()
    assert distance(ours(x), theirs) < SAME
    assert distance(theirs[0], theirs[1]) > 0.02  # or a stem that sees nothing would pass


def test_densenet121_gives_the_logits_of_keras(their_densenet121):
    ours = new(densenet121)
    port.to_densenet121(their_densenet121, ours)
    x = pictures()
    theirs = their_densenet121(x, training=False).numpy()
    assert distance(ours(x), theirs) < SAME
    assert distance(theirs[0], theirs[1]) > 0.02


def new(make, channels=3, classes=1000):
    shape = (SIZE, SIZE, channels)
    return make(shape, classes, seed=0, pretrained="imagenet", load_pretrained=False)


def test_a_new_head_keeps_its_weights_and_grey_is_three_equal_colours(their_resnet50):
    grey, colour = new(resnet50, 1, 7), new(resnet50, 3, 7)
    before = grey.stages["linear"].w.numpy()
    for model in (grey, colour):
        port.to_resnet50(their_resnet50, model)
    np.testing.assert_array_equal(grey.stages["linear"].w, before)
    grey.stages["linear"].w.assign(colour.stages["linear"].w)
    x = pictures()[..., :1]
    assert distance(grey(x), colour(np.repeat(x, 3, 3))) < SAME


def test_standardized_pictures_are_what_keras_prepares(their_resnet50):
    """RGB over deviation in place of BGR in [0, 255], apart from half a level in the means."""
    ours = new(resnet50)
    port.to_resnet50(their_resnet50, ours, standardized=True)
    rng = np.random.default_rng(2)
    shade = np.array([255, 60]).reshape(2, 1, 1, 1)
    rgb = (rng.uniform(0, 1, (2, SIZE, SIZE, 3)) * shade).astype(np.float32)
    theirs = their_resnet50(
        tf.keras.applications.resnet50.preprocess_input(rgb.copy()), training=False
    ).numpy()
    assert distance(ours((rgb / 255 - MEAN) / DEVIATION), theirs) < 5e-3
    assert distance(ours((rgb[..., ::-1] / 255 - MEAN) / DEVIATION), theirs) > 1e-2


@SAVING
@pytest.mark.parametrize("top", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_pretrained_reads_a_file_of_keras(tmp_path, their_densenet121, top):
    source = their_densenet121
    if not top:
        source = tf.keras.Model(source.input, source.layers[-2].output)
    path = tmp_path / "densenet121.weights.h5"
    source.save_weights(path)
    model = densenet121((SIZE, SIZE, 3), 1000, seed=0, pretrained=str(path))
    copied = new(densenet121)
    port.to_densenet121(their_densenet121, copied)
    same = [
        np.array_equal(x, y)
        for x, y in zip(model.variables, copied.variables, strict=True)
        if x.shape != (1024, 1000) and x.shape != (1000,)
    ]
    assert all(same)
    assert len(same) == 120 + 4 * 121
    head = np.array_equal(model.stages["linear"].w, copied.stages["linear"].w)
    assert head == top


@SAVING
@pytest.mark.slow
def test_pretrained_leaves_out_a_last_layer_that_is_not_wanted(tmp_path, their_densenet121):
    path = tmp_path / "densenet121.weights.h5"
    their_densenet121.save_weights(path)
    model = pretrained.application(tf.keras.applications.DenseNet121, str(path), top=False)
    assert model.output_shape == (None, 1024)
    for ours, theirs in zip(model.get_weights(), their_densenet121.get_weights(), strict=False):
        np.testing.assert_array_equal(ours, theirs)


@SAVING
def test_refuses_what_is_no_weights(tmp_path, their_densenet121):
    make = tf.keras.applications.DenseNet121
    with pytest.raises(RunError, match=r"no weights in .*nothing\.h5 - there is no such file; giv"):
        pretrained.application(make, str(tmp_path / "nothing.h5"))
    path = tmp_path / "noise.h5"
    path.write_bytes(b"noise" * 100)
    with pytest.raises(RunError, match=r"bad weights in .*noise\.h5 - not those of Keras's dens"):
        pretrained.application(make, str(path))
    other = tmp_path / "other.weights.h5"
    tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(2)]).save_weights(other)
    with pytest.raises(RunError, match=r"bad weights in .*other"):
        pretrained.application(make, str(other))


def test_offline_says_how_to_get_the_file(tmp_path, monkeypatch):
    """A closed port stands for no network; Keras itself reports it."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.applications.resnet.BASE_WEIGHTS_PATH", "http://127.0.0.1:9/")
    with pytest.raises(RunError) as error:
        resnet50((32, 32, 3), 5, seed=0, pretrained="imagenet")
    words = str(error.value)
    assert words.startswith(f"no ImageNet weights in {tmp_path}/models - ")
    assert "http://127.0.0.1:9/resnet50_weights_tf_dim_ordering_tf_kernels.h5" in words
    assert "give its path as --pretrained" in words
