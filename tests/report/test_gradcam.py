"""Grad-CAM, filters, maps and the convolution of small models."""

import base64
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.layers.conv import Conv
from hw2.layers.dense import Dense
from hw2.layers.sequential import Sequential, flatten, relu
from hw2.models import MODELS
from hw2.report import convolution, feature_maps, filters, gradcam, stages, thumbnail


def test_it_is_hot_where_the_evidence_is():
    """One filter that copies; the only logit sums all positions: the map is the picture."""
    rng = np.random.default_rng(0)
    model = Sequential(
        {
            "conv": Conv(1, 1, 1, rng=rng),
            "relu": relu,
            "flatten": flatten,
            "linear": Dense(36, 2, rng=rng),
        }
    )
    model.stages["conv"].w.assign([[[[1.0]]]])
    model.stages["linear"].w.assign(np.tile([[1.0, -1.0]], (36, 1)))
    image = np.zeros([1, 6, 6, 1], np.float32)
    image[0, 2, 4, 0] = 3
    target = gradcam.target(stages.outputs(model, tf.constant(image)))
    assert target == 1
    found = gradcam.heat(model, tf.constant(image), np.array([0], np.int32), target)
    np.testing.assert_allclose(found[0], image[0, :, :, 0] / 3, atol=1e-6)
    against = gradcam.heat(model, tf.constant(image), np.array([1], np.int32), target)
    assert against.max() == 0


@pytest.mark.parametrize("name", ["inception10", "resnet18", "simple_cnn", "densenet_fine"])
def test_models_come_apart(name):
    model = MODELS[name]((32, 32, 3), 4, seed=0)
    images = tf.random.stateless_normal([1, 32, 32, 3], [0, 0])
    outputs = stages.outputs(model, images)
    np.testing.assert_allclose(outputs[-1][1], model(images, training=False), rtol=1e-5, atol=1e-5)
    assert stages.first_conv(model)[1].w.shape[2] == 3
    assert gradcam.target(outputs) is not None
    assert feature_maps.strips(outputs)


def test_the_convolution_is_its_product():
    layer = Conv(3, 8, 3, strides=2, rng=np.random.default_rng(0))
    image = np.random.default_rng(1).normal(size=(20, 14, 3)).astype(np.float32)
    drawn = convolution.draw("first", layer, image)
    assert "70 windows of 3x3x3" in drawn.alt
    assert "[70, 27]" in drawn.alt
    assert "8 maps of 10x7" in drawn.alt
    difference = float(drawn.caption.split("at most ")[1].split()[0])
    assert difference < 1e-5  # float32 sums of 27 in another order
    assert "<svg" in drawn.body


def test_filters_of_colour_keep_their_colour():
    w = np.zeros([3, 3, 3, 2], np.float32)
    w[:, :, 0, 0] = 1
    drawn = filters.draw("first", w)
    data = drawn.body.split("base64,")[1].split('"')[0]
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert pixels[20, 20].tolist() == [255, 128, 128]


def test_thumbnails_are_cut_to_twice_their_side():
    uri = thumbnail.encode_example(
        lambda index, side: np.zeros([side, 9 * side, 3], np.uint8), 0, 10
    )
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    assert image.size == (20, 10)
