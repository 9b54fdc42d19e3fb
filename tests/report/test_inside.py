"""Filters, maps and the convolution of small models."""

import base64
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.jobs import gradcam
from hw2.layers.conv import Conv
from hw2.layers.sequential import outputs
from hw2.models import MODELS
from hw2.report import convolution, feature_maps, filters, thumbnail


@pytest.mark.parametrize("name", ["inception10", "resnet18", "simple_cnn", "densenet_fine"])
def test_models_come_apart(name):
    model = MODELS[name]((32, 32, 3), 4, seed=0)
    images = tf.random.stateless_normal([1, 32, 32, 3], [0, 0])
    found = outputs(model, images)
    np.testing.assert_allclose(found[-1][1], model(images, training=False), rtol=1e-5, atol=1e-5)
    assert filters.first_conv(model)[1].w.shape[2] == 3
    assert gradcam.target(found) is not None
    assert feature_maps.strips(found)


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
