"""The networks with trained weights beside other programs that have the same weights."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hw2.input.files import decode
from hw2.input.transforms import preprocess
from hw2.input.transforms.preprocess import Preprocessing
from hw2.jobs import model as trained
from hw2.jobs import pretrained
from tests import packages
from tests.models import references
from tests.packages import stamps

__all__ = ["stamps"]
FOUND = json.loads(Path(__file__).with_name("references.json").read_text())
SAME = 1e-5  # of a probability, between float32 and float64; seen: 2e-6


@pytest.mark.parametrize("name", FOUND)
def test_the_likeliest_classes_are_those_of_the_reference(name, stamps):
    packages.weights(name)
    checkpoint, tensors = pretrained.checkpoint(name)
    model = trained.load(checkpoint, tensors)
    p = Preprocessing(**checkpoint.state["identity"]["preprocessing"])
    assert FOUND[name].keys() == references.paths().keys()
    images = [
        preprocess.evaluation(tf.constant(decode.picture(path, p.short_side)), p)
        for path in references.paths().values()
    ]
    odds = tf.nn.softmax(model(tf.stack(images))).numpy()
    for row, expected in zip(odds, FOUND[name].values(), strict=True):
        best = np.argsort(-row)[: references.BEST]
        assert best.tolist() == expected["classes"]
        np.testing.assert_allclose(row[best], expected["probabilities"], rtol=0, atol=SAME)


def test_a_zebra_is_called_a_zebra():
    names = pretrained.imagenet.class_names()
    best = FOUND["squeezenet"]["animals/mammals/equines/zebra.png"]["classes"][0]
    assert names[best] == "zebra"
    assert len({name.lower() for name in names}) == 1000
    assert (names[0], names[555], names[999]) == ("tench", "fire engine", "toilet tissue")
