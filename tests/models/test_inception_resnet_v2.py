"""Keras's Inception-ResNet-v2 under our head."""

import numpy as np
import pytest
import tensorflow as tf

from hw2.models import summary
from hw2.models.inception_resnet_v2 import inception_resnet_v2
from hw2.training import losses
from hw2.training.variables import named_variables

# Keras, when it saves under NumPy 2.
SAVING = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def frozen():
    return inception_resnet_v2((100, 100, 3), 5, seed=0, freeze=True)


HEAD = ["stages/dense/w", "stages/dense/b", "stages/linear/w", "stages/linear/b"]


def test_frozen_trains_and_saves_the_head_alone(frozen):
    assert list(named_variables(frozen)) == HEAD
    assert len(frozen.trainable_variables) == 4
    assert not frozen.stages["base"]._base.trainable_variables  # nothing for a tape to watch
    rows = summary.summarize(frozen, (100, 100, 3))
    assert [row.parameters for row in rows] == [0, 1537 * 128, 0, 0, 129 * 5]
    assert rows[0].output == (1536,)
    assert rows[0].multiply_adds > 7e8  # the whole at 299 pixels: tests/models/test_models.py


def test_base_is_kerass_on_its_own_scale(frozen):
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (2, 100, 100, 3)).astype(np.float32)
    base = frozen.stages["base"]
    scaled = tf.keras.applications.inception_resnet_v2.preprocess_input(rgb.copy())
    theirs = base._base(scaled, training=False).numpy()
    standardized = (rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    ours = base(standardized.astype(np.float32), training=True)
    assert np.max(np.abs(ours - theirs)) < 1e-4 * np.max(np.abs(theirs))


@pytest.mark.parametrize("shape", [(32, 32, 3), (100, 80, 1)])
def test_small_and_grey_pictures(frozen, shape):
    x = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    with tf.GradientTape() as tape:
        logits = frozen(x, training=True, seed=tf.constant([1, 2]))
        loss = tf.reduce_mean(losses.cross_entropy(tf.constant([1, 3]), logits))
    gradients = tape.gradient(loss, frozen.trainable_variables)
    assert np.isfinite(logits).all()
    assert all(np.isfinite(gradient).all() and np.any(gradient) for gradient in gradients)


@pytest.mark.slow
def test_new_weights_follow_the_seed(frozen):
    """Or a frozen base without weights could not be made again from its checkpoint."""
    again = inception_resnet_v2((100, 100, 3), 5, seed=0, freeze=True)
    x = np.random.default_rng(0).standard_normal((1, 75, 75, 3)).astype(np.float32)
    np.testing.assert_array_equal(frozen(x), again(x))


def test_refuses_channels_that_are_no_colours():
    with pytest.raises(ValueError, match="the images must have 1 or 3 channels, got 4"):
        inception_resnet_v2((100, 100, 4), 5, seed=0)


@SAVING
@pytest.mark.slow
def test_fine_tuning_trains_and_saves_everything(tmp_path):
    model = inception_resnet_v2((75, 75, 3), 5, seed=0)
    names = list(named_variables(model))
    assert len(names) == 900
    assert names[:2] == [
        "stages/base/layers/conv2d1/kernel",
        "stages/base/layers/batchnormalization2/beta",
    ]
    assert names[-4:] == HEAD
    assert names == list(named_variables(inception_resnet_v2((75, 75, 3), 5, seed=1)))
    x = np.random.default_rng(0).standard_normal((4, 75, 75, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=True, seed=tf.constant([1, 2])) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    mean = named_variables(model)["stages/base/layers/batchnormalization2/moving_mean"]
    assert np.any(mean.numpy())  # new weights: batch norm learns its statistics

    path = tmp_path / "base.weights.h5"
    model.stages["base"]._base.save_weights(path)
    tuned = inception_resnet_v2((75, 75, 3), 5, seed=2, pretrained=str(path))
    variables, others = named_variables(model), named_variables(tuned)
    for name in names[:-4]:
        np.testing.assert_array_equal(variables[name], others[name])
    tuned(x, training=True, seed=tf.constant([1, 2]))
    for name in names[:-4]:  # learned statistics stay
        np.testing.assert_array_equal(variables[name], others[name])
