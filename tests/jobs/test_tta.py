"""Test-time augmentation: the mean over what a model says of an image and of its mirror images."""

import io

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from hw2.jobs import tta
from hw2.layers.dense import Dense

VIEWS = {
    "flip": [lambda x: x, lambda x: x[:, :, ::-1]],
    "four_flips": [
        lambda x: x,
        lambda x: x[:, :, ::-1],
        lambda x: x[:, ::-1],
        lambda x: x[:, ::-1, ::-1],
    ],
}


@pytest.mark.parametrize("name", VIEWS)
def test_flips_answer_by_the_mean_of_the_logits_of_all_views(name):
    rng = np.random.default_rng(0)
    dense = Dense(5 * 4 * 3, 6, rng=rng)

    def model(images, training=False):
        return dense(tf.reshape(images, [-1, 5 * 4 * 3]))

    images = rng.standard_normal([2, 5, 4, 3]).astype(np.float32)
    expected = np.mean([model(tf.constant(view(images))) for view in VIEWS[name]], 0)
    found = tta.augmented(model, name)(tf.constant(images))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not np.allclose(found, model(tf.constant(images)), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "trained", "lacking"),
    [
        ("flip", {"flip": False, "flip_up_down": True}, "without --flip:"),
        ("four_flips", {"flip": True, "flip_up_down": False}, "without --flip_up_down:"),
        ("four_flips", {"flip": False, "flip_up_down": False}, "--flip and --flip_up_down:"),
        ("four_flips", {"flip": True, "flip_up_down": True}, None),
        ("none", {"flip": False, "flip_up_down": False}, None),
    ],
)
def test_flips_that_a_run_was_not_trained_with_are_told_of(name, trained, lacking):
    out = io.StringIO()
    tta.warn(name, {"preprocessing": trained}, Console(file=out, width=200))
    assert (lacking in out.getvalue()) if lacking else not out.getvalue()
