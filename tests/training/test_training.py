"""The engine: optimizer, averages, rate, loop, learner on one device and on two."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from hw2 import ops
from hw2.layers import norm
from hw2.layers.penalty import l2_penalty
from hw2.models import MODELS
from hw2.training import average, metrics
from hw2.training.learner import Learner
from hw2.training.loop import Run, every, fit
from hw2.training.metrics import Scores, in_top_k, scorer
from hw2.training.optimizers import Adam
from hw2.training.plateau import Plateau, replay
from hw2.training.variables import named_variables, trainable


def test_adam_is_its_definition_and_keras_adam_for_100_steps():
    rng = np.random.default_rng(0)
    first = rng.standard_normal((4, 3))
    exact, ours, theirs = tf.Variable(first), tf.Variable(np.float32(first)), keras.Variable(first)
    adams = [Adam({"w": v}, epsilon=1e-7) for v in (exact, ours)]
    peer = keras.optimizers.Adam(1e-2, epsilon=1e-7)
    w, mean, square = first, 0, 0
    for step in range(100):
        gradient = rng.standard_normal((4, 3))
        rate = 2**-7 if step < 50 else 2**-8  # the same in float32
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        power1, power2 = 0.9 ** (step + 1), 0.999 ** (step + 1)
        w = w - rate * np.sqrt(1 - power2) / (1 - power1) * mean / (np.sqrt(square) + 1e-7)
        for adam, dtype in zip(adams, (tf.float64, tf.float32), strict=True):
            adam.apply(
                [tf.constant(gradient, dtype)], rate=tf.constant(rate), step=tf.constant(step)
            )
        peer.learning_rate = rate
        peer.apply([tf.constant(gradient, tf.float32)], [theirs])
    np.testing.assert_allclose(exact, w, rtol=1e-12)
    bound = 2e-6 * np.max(np.abs(w))  # 100 steps, each rounded to 6e-8; 0.999 has that error too
    assert np.max(np.abs(ours.numpy() - w)) <= bound
    assert np.max(np.abs(ours.numpy() - theirs.numpy())) <= bound


def test_averages_follow_the_warm_up_rule():
    variable, mean = tf.Variable(1.0), tf.Variable(0.0)
    assert float(average.warmed_up(0.9999, tf.constant(0))) == pytest.approx(0.1)
    assert float(average.warmed_up(0.9999, tf.constant(90))) == pytest.approx(0.91)
    assert float(average.warmed_up(0.5, tf.constant(90))) == 0.5
    average.update([mean], [variable], tf.constant(0.75))
    average.update([mean], [variable], tf.constant(0.75))
    assert float(mean) == pytest.approx(1 - 0.75**2)


def test_plateau_halves_once_per_seven_and_stops_at_fifteen():
    plateau = Plateau(halve_after=7, stop_after=15)
    scales, stops = [], []
    for step, score in enumerate([0.5] + [0.5] * 15):
        plateau.update(score, step)
        scales.append(plateau.scale)
        stops.append(plateau.exhausted)
    assert scales == [1.0] * 7 + [0.5] * 7 + [0.25] * 2
    assert stops == [False] * 15 + [True]
    assert (plateau.best, plateau.best_step) == (0.5, 0)


@pytest.mark.fault(67)
def test_plateau_counts_again_after_a_gain_and_never_takes_nan():
    plateau = Plateau(halve_after=2, stop_after=5)
    for step, score in enumerate([math.nan, 0.1, 0.05, 0.2, math.nan, 0.1]):
        plateau.update(score, step)
    assert (plateau.best, plateau.best_step) == (0.2, 3)
    assert (plateau.without_gain, plateau.scale) == (2, 0.5)


def test_in_top_k_breaks_ties_by_class_and_never_counts_nan():
    logits = tf.constant([[1.0, 1, 1], [0, 2, 1], [math.nan, 0, 5]])
    for labels, k, expected in [
        ([0, 1, 2], 1, [True, True, False]),
        ([1, 2, 2], 1, [False, False, False]),
        ([1, 2, 2], 2, [True, True, False]),
    ]:
        assert list(in_top_k(tf.constant(labels), logits, k).numpy()) == expected


def test_scorer_leaves_out_rows_of_weight_zero():
    def model(images, training):
        return images

    images = tf.constant([[9.0, 0, 0], [0, 9, 0], [0, 9, 1], [math.nan, 0, 0]])
    batch = (images, tf.constant([0, 1, 2, 0]), tf.constant([1.0, 1, 1, 0]))
    scores = scorer(model)([batch, batch], 2)
    loss = np.mean(
        [
            np.log(np.exp(row).sum()) - row[label]
            for row, label in zip(images.numpy()[:3], [0, 1, 2], strict=True)
        ]
    )
    means = {"balanced_accuracy": pytest.approx(2 / 3), "macro_f1": pytest.approx(5 / 9)}
    assert scores == Scores(
        top1=pytest.approx(2 / 3),
        topk=1.0,
        k=2,
        loss=pytest.approx(loss, rel=1e-6),
        num_examples=6,
        **means,
    )


def test_scorer_refuses_nothing():
    with pytest.raises(ValueError, match="at least one picture, got none"):
        scorer(lambda images, training: images)([], 1)


def test_one_accuracy_is_said_once():
    assert metrics.in_words(0.5, 0.75, 5) == "top-1 0.5000, top-5 0.7500"
    assert metrics.in_words(0.5, 0.5, 1) == "top-1 0.5000"


def test_fit_calls_hooks_in_order_until_asked_to_stop():
    seen = []
    run = Run(3, 100)

    def stop(run):
        if run.step == 6:
            run.stop("enough")

    fit(
        run,
        lambda batch, step, rate: {"loss": tf.constant(float(batch))},
        iter(range(3, 100)),
        rate=lambda step: step / 10,
        hooks=[stop, every(2, lambda run: seen.append((run.step, run.metrics["loss"], run.rate)))],
    )
    assert seen == [(4, 3.0, 0.3), (6, 5.0, 0.5)]
    assert (run.step, run.stop_reason) == (6, "enough")


def test_every_also_fires_at_the_last_step():
    steps = []
    hook = every(4, lambda run: steps.append(run.step))
    for step in range(1, 11):
        hook(Run(step, 10))
    assert steps == [4, 8, 10]


def learner(strategy, seed=0):
    with strategy.scope():

        def build():
            model = MODELS["inception10"]((16, 16, 1), 10, seed=seed)
            norm.synchronize(model)
            return model

        return Learner(build, penalty=l2_penalty, ema_decay=0.999, seed=1)


def steps(strategy, count=4):
    rng = np.random.default_rng(0)
    images = rng.standard_normal((count, 8, 16, 16, 1)).astype(np.float32)
    labels = rng.integers(0, 10, (count, 8)).astype(np.int32)
    made = learner(strategy)
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    losses = []
    with strategy.scope():
        for step, batch in enumerate(strategy.experimental_distribute_dataset(data)):
            losses.append(float(made.train_step(batch, step=step, rate=1e-3)["loss"]))
        padded = data.map(lambda x, y: (x, y, tf.ones([8])))
        scores = scorer(made.averaged)(strategy.experimental_distribute_dataset(padded), 5)
    return losses, scores, {name: v.numpy() for name, v in made.tensors.items()}


@pytest.mark.fault(62)
def test_two_devices_train_what_one_does(two_devices):
    with ops.algorithm("direct"):  # whose rounding is smaller than that of Winograd's tiles
        losses, scores, tensors = steps(tf.distribute.get_strategy())
        losses2, scores2, tensors2 = steps(two_devices)
    np.testing.assert_allclose(losses2, losses, rtol=1e-4)  # Adam divides rounding by little
    assert scores2.num_examples == scores.num_examples == 32
    assert losses2[0] == pytest.approx(losses[0], rel=1e-6)  # before Adam: sums in another order
    assert scores2.loss == pytest.approx(scores.loss, rel=1e-4)
    for name in ("model/stages/conv_stack1/stages/conv1/norm/mean", "ema/stages/softmax_linear/w"):
        np.testing.assert_allclose(tensors2[name], tensors[name], rtol=1e-3, atol=1e-5)


def test_learner_names_everything_a_checkpoint_needs():
    made = learner(tf.distribute.get_strategy())
    names = list(made.tensors)
    count = len(named_variables(made.model))
    weights = len(trainable(named_variables(made.model)))
    assert len(names) == len(set(names)) == 2 * count + 2 * weights
    assert "model/stages/inception2/three/1/w" in names
    assert "optimizer/mean/stages/dense1/stages/dense/w" in names
    assert weights == len(made.model.trainable_variables)
    assert count == len(made.model.variables)


def test_learner_learns_one_batch_by_heart():
    made = learner(tf.distribute.get_strategy())
    rng = np.random.default_rng(0)
    batch = (rng.standard_normal((16, 16, 16, 1)).astype(np.float32), np.arange(16) % 10)
    results = [made.train_step(batch, step=step, rate=1e-3) for step in range(40)]
    assert float(results[-1]["accuracy"]) > 0.8  # under dropout
    assert float(results[-1]["loss"]) < float(results[0]["loss"]) / 3
    padded = (*batch, np.ones(16, np.float32))
    assert metrics.scorer(made.averaged)([padded], 5).top1 > 0.9


def test_a_replayed_plateau_ends_as_it_did_and_names_the_halvings():
    scores = [(step, score) for step, score in enumerate([0.9, 0.1, 0.1, 0.5, 0.4, 0.3], start=1)]
    plateau = Plateau(halve_after=2, stop_after=9)
    assert replay(plateau, scores) == [3, 5]
    assert (plateau.best, plateau.best_step, plateau.scale) == (0.9, 1, 0.25)
    plateau = Plateau(halve_after=2, stop_after=9)
    assert replay(plateau, scores, restarts=[3]) == [3, 6]
    assert (plateau.best, plateau.best_step, plateau.without_gain) == (0.5, 4, 2)
    plateau = Plateau(halve_after=2, stop_after=9)
    replay(plateau, scores, restarts=[3, 6])  # and no evaluation since
    assert (plateau.best, plateau.best_step, plateau.without_gain) == (None, -1, 0)
