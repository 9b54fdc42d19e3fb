"""Grad-CAM is hot where the evidence is."""

import numpy as np
import tensorflow as tf

from hw2.jobs import gradcam
from hw2.layers.conv import Conv
from hw2.layers.dense import Dense
from hw2.layers.sequential import Sequential, flatten, outputs, relu


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
    target = gradcam.target(outputs(model, tf.constant(image)))
    assert target == 1
    found = gradcam.heat(model, tf.constant(image), np.array([0], np.int32), target)
    np.testing.assert_allclose(found[0], image[0, :, :, 0] / 3, atol=1e-6)
    against = gradcam.heat(model, tf.constant(image), np.array([1], np.int32), target)
    assert against.numpy().max() == 0
