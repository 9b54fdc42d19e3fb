"""Layer-wise learning rate decay: its groups, its rates beside a hand computation, its record."""

import numpy as np
import pytest
import tensorflow as tf

from hw2.config import settings
from hw2.errors import UsageError
from hw2.jobs import layer_decay
from hw2.layers.initializers import sizes_only
from hw2.models import MODELS
from hw2.runs import checkpoints
from hw2.training import optimizers
from hw2.training.learner import Learner
from hw2.training.variables import named_variables
from tests.training.compare import assert_same_run
from tests.training.tiny import tiny


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny)


@pytest.mark.parametrize(
    ("name", "count", "second"),
    [
        ("resnet18", 10, "stages/stage1/stages/block1/"),
        ("googlenet", 13, "stages/conv2/"),
        ("efficientnet_lite0", 19, "stages/block1/"),
        ("vgg16", 16, "stages/conv2/"),
    ],
)
def test_a_group_is_a_layer_or_a_block(name, count, second):
    with sizes_only():
        found = layer_decay.groups(MODELS[name]((64, 64, 3), 10, seed=0))
    assert len(found) == count
    assert all(one.startswith(second) for one in found[1])
    assert found[-1] == ["stages/linear/w", "stages/linear/b"]


def test_a_normalization_belongs_to_the_layer_before_it():
    with sizes_only():
        found = layer_decay.groups(MODELS["resnet18"]((64, 64, 3), 10, seed=0))
    norm = "stages/stem/stages/norm1"
    assert found[0] == ["stages/stem/stages/conv1/w", f"{norm}/scale", f"{norm}/offset"]


def learner(decay, make):
    return Learner(
        lambda: MODELS["lenet5"]((28, 28, 1), 10, seed=0),
        penalty=lambda model: tf.zeros([]),
        ema_decay=0.0,
        seed=0,
        optimizer=make,
        rate_factors=lambda model: layer_decay.factors(model, decay),
    )


def test_each_layer_takes_the_step_that_a_hand_computes():
    def sgd(variables):
        return optimizers.make("sgd", variables, momentum=0.0)

    decayed = learner(0.5, sgd)
    images = np.random.default_rng(0).standard_normal((4, 28, 28, 1)).astype(np.float32)
    batch = (tf.constant(images), tf.constant([0, 1, 2, 3]))
    before = {name: variable.numpy() for name, variable in decayed.trainable.items()}
    traces = {name: trace.numpy() for name, trace in decayed.optimizer.traces.items()}
    with tf.GradientTape() as tape:
        logits = decayed.model(batch[0], training=True, seed=tf.constant([0, 0]))
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch[1], logits=logits)
        )
    wanted = tape.gradient(loss, list(decayed.trainable.values()))
    decayed.train_step(batch, step=0, rate=0.1)
    # lenet5 has five layers: the first learns at 0.1 / 16, the last at 0.1.
    by_hand = {"conv1": 0.1 / 16, "conv2": 0.1 / 8, "dense1": 0.1 / 4, "dense2": 0.05}
    by_hand["linear"] = 0.1
    found = decayed.gradients(traces, 0.1)
    for (name, value), gradient in zip(before.items(), wanted, strict=True):
        rate = by_hand[name.split("/")[1]]
        gradient = gradient.numpy()
        np.testing.assert_allclose(
            decayed.trainable[name].numpy(), value - rate * gradient, rtol=1e-5, atol=1e-7
        )
        np.testing.assert_allclose(found[name], gradient, atol=1e-3 * np.abs(gradient).max())


def test_weight_decay_shrinks_with_the_rate():
    def sgdw(variables):
        return optimizers.make("sgdw", variables, momentum=0.0, weight_decay=0.5)

    decayed = learner(0.5, sgdw)
    for variable in decayed.trainable.values():
        variable.assign(tf.ones_like(variable))
    names = list(decayed.trainable)
    for factor, own in decayed._rates.items():
        zeros = [tf.zeros_like(decayed.trainable[n]) if n in own else None for n in names]
        decayed.optimizer.apply(zeros, rate=tf.constant(0.1 * factor), step=tf.constant(0))
    assert float(decayed.trainable["stages/conv1/w"][0, 0, 0, 0]) == pytest.approx(1 - 0.05 / 16)
    assert float(decayed.trainable["stages/linear/w"][0, 0]) == pytest.approx(0.95)


FLAGS = ["--layer_decay=0.5", "--freeze=conv/conv1/norm", "--optimizer=adamw", "--max_steps=6"]


def test_a_run_records_it_and_resumes_bit_for_bit(train, stop, tmp_path, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(whole, *FLAGS)
    told = capsys.readouterr().err
    assert "learning rate by depth, in 2 groups: 0.5 of it in conv/conv1/conv" in told
    stop(cut, 3, *FLAGS)
    train(cut, *FLAGS)
    assert_same_run(whole, cut)
    last = checkpoints.newest(whole / "checkpoints")
    assert last.state["settings"]["layer_decay"] == 0.5
    start = named_variables(tiny((8, 8, 1), 10, seed=0))
    norm = "stages/conv/stages/conv1/norm/scale"
    np.testing.assert_array_equal(last.tensors()[f"model/{norm}"], start[norm])


@pytest.mark.parametrize("value", ["0", "1.5", "-1"])
def test_what_is_no_decay_is_refused(value):
    with pytest.raises(UsageError, match=r"--layer_decay must be in \(0, 1\], got"):
        settings.parse(["train.py", f"--layer_decay={value}"])
