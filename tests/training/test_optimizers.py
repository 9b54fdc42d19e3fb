"""Optimizers, schedules and losses beside Keras's."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from hw2.config import choices
from hw2.training import losses, optimizers, schedules
from hw2.training.schedules import Schedule

STEPS = 100
BOUND = 1e-6
# Numbers that float32 has exactly, and variables of float64: so the bound is for the rule, not for
# 100 roundings, nor for Keras's, whose Adam takes the power of 0.999 rounded to float32.
ADAM = {"epsilon": 2.0**-26}
BETAS = {"beta1": 0.90625, "beta2": 1 - 2.0**-10}
SCHEDULES = [
    Schedule(1e-2, STEPS),
    Schedule(1e-2, STEPS, "steps", milestones=(30, 70)),
    Schedule(1e-2, STEPS, "cosine", warmup=10),
]


def recipes():
    """Name, settings, weight decay, largest norm."""
    for momentum, nesterov in [(0.0, False), (0.9, False), (0.9, True)]:
        settings = {"momentum": momentum, "nesterov": nesterov}
        for decay, clip in itertools.product((0.0, 0.1), (0.0, 1.5)):
            yield "sgd", settings, decay, clip
            yield "sgdw", settings, decay, clip
    for clip in (0.0, 1.5):
        yield "adam", {}, 0.0, clip
        yield "adamw", {}, 0.1, clip
        for decay in (0.0, 0.1):
            yield "adagrad", {"epsilon": 2.0**-10}, decay, clip
            yield "lion", {}, decay, clip
            for momentum in (0.0, 0.9):
                yield "rmsprop", {"momentum": momentum, "epsilon": 2.0**-10}, decay, clip


def ours_of(name, variables, settings, decay):
    if name in ("sgd", "sgdw"):
        decoupled = name == "sgdw"
        return optimizers.Sgd(variables, weight_decay=decay, decoupled=decoupled, **settings)
    if name == "adagrad":
        return optimizers.Adagrad(variables, weight_decay=decay, **settings)
    if name == "rmsprop":
        return optimizers.Rmsprop(variables, weight_decay=decay, rho=BETAS["beta1"], **settings)
    if name == "lion":
        return optimizers.Lion(variables, weight_decay=decay, **BETAS)
    return optimizers.Adam(variables, weight_decay=decay, **BETAS, **ADAM)


def peer(name, settings, decay):
    options = {"weight_decay": decay or None, **settings}
    if name == "sgd":  # Keras's decay is decoupled, so `together` adds it to the gradient
        del options["weight_decay"]
    if name in ("adam", "adamw", "lion"):
        options |= {"beta_1": BETAS["beta1"], "beta_2": BETAS["beta2"]}
        options |= {} if name == "lion" else ADAM
    if name == "rmsprop":
        options["rho"] = BETAS["beta1"]
    kinds = {"sgd": "SGD", "sgdw": "SGD", "adam": "Adam", "adamw": "AdamW"}
    kinds |= {"adagrad": "Adagrad", "lion": "Lion", "rmsprop": "RMSprop"}
    return getattr(keras.optimizers, kinds[name])(0.1, **options)


def together(made, other, theirs, clip, coupled):
    """A graph in which both take a step; theirs with `coupled` times the matrix in its gradient."""

    @tf.function(autograph=False)
    def step(wanted, rate, count):
        wanted = optimizers.clipped(wanted, clip) if clip else list(wanted)
        made.apply(wanted, rate=rate, step=count)
        matrix, vector = wanted
        other.apply([matrix + coupled * theirs[0], vector], theirs)

    return step


def test_optimizers_agree_with_keras_for_100_steps():
    rng = np.random.default_rng(0)
    first = {"w": rng.standard_normal((4, 3)), "b": rng.standard_normal(3)}
    gradients = [
        [tf.constant(rng.standard_normal(value.shape)) for value in first.values()]
        for _ in range(STEPS)
    ]
    errors = {}
    for name, settings, decay, clip in recipes():
        ours = {n: tf.Variable(value) for n, value in first.items()}
        theirs = [keras.Variable(value, name=n, dtype="float64") for n, value in first.items()]
        made = ours_of(name, ours, settings, decay)
        other = peer(name, settings, decay)
        if decay and name != "sgd":
            other.exclude_from_weight_decay(var_names=["b"])
        other.build(theirs)

        step = together(made, other, theirs, clip, decay if name == "sgd" else 0.0)
        states = [(v, v.numpy()) for v in (*made.variables, *other.variables)]
        for schedule in SCHEDULES:
            for variable, value in states:
                variable.assign(value)
            for one, two, value in zip(ours.values(), theirs, first.values(), strict=True):
                one.assign(value)
                two.assign(value)
            for count, wanted in enumerate(gradients):
                rate = schedule(count)
                other.learning_rate = rate
                step(wanted, tf.constant(rate), tf.constant(count))
            for one, two in zip(ours.values(), theirs, strict=True):
                a, b = one.numpy(), two.numpy()
                assert np.max(np.abs(a - first[two.name])) > 0.01
                key = (name, *settings.values(), decay, clip, schedule.kind, two.name)
                errors[key] = np.max(np.abs(a - b)) / np.max(np.abs(b))
    assert len(errors) == 2 * 3 * (2 * 3 * 2 * 2 + 4 + 2 * 2 * 4)
    assert max(errors.values()) <= BOUND, max(errors.items(), key=lambda item: item[1])


def pytorch_sgd(weight, gradients, rate, momentum, decay, nesterov):
    """The rule of torch.optim.SGD, as its documentation writes it."""
    velocity = None
    for wanted in gradients:
        gradient = wanted + decay * weight
        velocity = gradient if velocity is None else momentum * velocity + gradient
        weight = weight - rate * (gradient + momentum * velocity if nesterov else velocity)
    return weight


@pytest.mark.fault(114)
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_weight_decay_of_sgd_is_that_of_pytorch_for_100_steps(momentum, nesterov):
    nesterov = nesterov and momentum > 0
    rng = np.random.default_rng(1)
    first = rng.standard_normal((4, 3))
    gradients = rng.standard_normal((STEPS, 4, 3))
    variables = {"w": tf.Variable(first)}
    made = optimizers.make(
        "sgd", variables, momentum=momentum, nesterov=nesterov, weight_decay=0.05
    )
    for count, wanted in enumerate(gradients):
        rate = tf.constant(0.1, tf.float64)
        made.apply([tf.constant(wanted)], rate=rate, step=tf.constant(count))
    expected = pytorch_sgd(first, gradients, 0.1, momentum, 0.05, nesterov)
    found = variables["w"].numpy()
    assert np.max(np.abs(found - expected)) <= 1e-12 * np.max(np.abs(expected))


@pytest.mark.fault(114)
def test_300_steps_of_weight_decay_without_a_gradient():
    left = {}
    for name in ("sgd", "sgdw"):
        variables = {"w": tf.Variable(tf.ones([2, 2], tf.float64))}
        made = optimizers.make(name, variables, momentum=0.9, weight_decay=5e-4)
        nothing, rate = tf.zeros([2, 2], tf.float64), tf.constant(0.1, tf.float64)
        for count in range(300):
            made.apply([nothing], rate=rate, step=tf.constant(count))
        left[name] = float(variables["w"][0, 0])
    assert left == {"sgd": pytest.approx(0.864, abs=5e-4), "sgdw": pytest.approx(0.985, abs=5e-4)}


def test_make_hands_over_what_the_settings_say():
    variables = {"w": tf.Variable([[1.0]])}
    made = optimizers.make("rmsprop", variables, momentum=0.5, epsilon=1e-3, weight_decay=0.1)
    assert (made.momentum, made.epsilon, made.weight_decay) == (0.5, 1e-3, 0.1)
    assert optimizers.make("adam", variables, epsilon=1e-3).epsilon == 1e-3
    made = optimizers.make("adagrad", variables, epsilon=1e-3, weight_decay=0.1)
    assert (made.epsilon, made.weight_decay) == (1e-3, 0.1)
    assert optimizers.make("lion", variables, weight_decay=0.1).weight_decay == 0.1


def test_weight_decay_spares_what_has_one_axis():
    variables = {"w": tf.Variable(tf.ones([2, 2])), "b": tf.Variable(tf.ones([2]))}
    made = optimizers.make("adamw", variables, weight_decay=0.5)
    made.apply([tf.zeros([2, 2]), tf.zeros([2])], rate=tf.constant(0.1), step=tf.constant(0))
    np.testing.assert_allclose(variables["w"], np.full((2, 2), 0.95), rtol=1e-6)
    np.testing.assert_array_equal(variables["b"], [1, 1])


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("lars", {}, "must be one of adagrad, adam, adamw, lion, rmsprop, sgd, sgdw, got 'lars'"),
        ("adam", {"weight_decay": 0.1}, "adam must have weight_decay 0, got 0.1"),
        ("adam", {"nesterov": True}, "nesterov must come with sgd or sgdw, got adam"),
        ("sgd", {"nesterov": True, "momentum": 0.0}, "must come with momentum above 0"),
    ],
)
def test_what_an_optimizer_has_not_is_refused(name, settings, words):
    with pytest.raises(ValueError, match=words):
        optimizers.make(name, {"w": tf.Variable([1.0])}, **settings)


def test_schedules_agree_with_keras():
    cosine = Schedule(0.1, 50, "cosine", warmup=10)
    theirs = keras.optimizers.schedules.CosineDecay(
        0.01, 40, warmup_target=0.1, warmup_steps=9
    )  # which has the full rate one step after the warm-up, as ours does
    np.testing.assert_allclose(
        [cosine(step) for step in range(10)], [float(theirs(step)) for step in range(10)], rtol=1e-6
    )
    plain = keras.optimizers.schedules.CosineDecay(0.1, 40)
    np.testing.assert_allclose(
        [cosine(10 + step) for step in range(50)],
        [float(plain(step)) for step in range(50)],
        rtol=1e-5,
        atol=1e-9,
    )
    steps = Schedule(0.1, 99, "steps", milestones=(3, 5))
    theirs = keras.optimizers.schedules.PiecewiseConstantDecay([2, 4], [0.1, 0.01, 0.001])
    np.testing.assert_allclose(
        [steps(step) for step in range(9)], [float(theirs(step)) for step in range(9)], rtol=1e-6
    )
    inverse = Schedule(0.1, 99, "inverse_time", warmup=4, decay=0.25)
    theirs = keras.optimizers.schedules.InverseTimeDecay(0.1, 1, 0.25)
    np.testing.assert_allclose(
        [inverse(4 + step) for step in range(50)],
        [float(theirs(step)) for step in range(50)],
        rtol=1e-6,
    )
    assert {Schedule(0.3, 9)(step) for step in range(20)} == {0.3}
    with pytest.raises(
        ValueError, match="one of constant, steps, cosine, one_cycle, inverse_time, got 'linear'"
    ):
        Schedule(0.1, 9, "linear")


def test_one_cycle_is_that_of_pytorch():
    """The numbers are of torch 2.13: `OneCycleLR(optimizer, max_lr=0.1, total_steps=20)`."""
    rising = [0.004, 0.01316718427, 0.03716718427, 0.06683281573, 0.09083281573, 0.1]
    falling = [0.0987464006235, 0.0950484632013, 0.0890916177571, 0.081174565395]
    falling += [0.0716943001791, 0.0611262021936, 0.0500002, 0.0388741978064, 0.0283060998209]
    falling += [0.018825834605, 0.0109087822429, 0.00495193679865, 0.00125399937649, 4e-07]
    cycle = Schedule(0.1, 20, "one_cycle")
    np.testing.assert_allclose([cycle(step) for step in range(20)], rising + falling, rtol=1e-10)
    # Of 33 steps, 0.3 are no whole number. With pct_start=0.25, 5 of 20 steps rise.
    uneven = Schedule(0.1, 33, "one_cycle")
    np.testing.assert_allclose(
        [uneven(step) for step in (1, 8, 9, 31, 32)],
        [0.00695948975088, 0.0975980704357, 0.0999953761114, 0.000462083724074, 4e-07],
        rtol=1e-10,
    )
    warmed = Schedule(0.1, 20, "one_cycle", warmup=5)
    np.testing.assert_allclose(
        [warmed(step) for step in (0, 1, 4, 5, 18, 19, 25)],
        [0.004, 0.018058874503, 0.1, 0.0989073844072, 0.00109301559283, 4e-07, 4e-07],
        rtol=1e-10,
    )
    for steps in (1, 2, 3):  # too few to rise
        assert Schedule(0.1, steps, "one_cycle")(0) == 0.1


def test_losses_are_keras_losses_of_indices_and_of_shares():
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.standard_normal((6, 5)), tf.float32)
    labels = tf.constant(rng.integers(0, 5, 6), tf.int32)
    shares = tf.nn.softmax(tf.constant(rng.standard_normal((6, 5)), tf.float32))
    certain = tf.one_hot(labels, 5)
    theirs = {
        "cross_entropy": lambda y, s: keras.losses.categorical_crossentropy(
            y, logits, from_logits=True, label_smoothing=s
        ),
        "kl": lambda y, s: keras.losses.kl_divergence(y * (1 - s) + s / 5, tf.nn.softmax(logits)),
        "binary": lambda y, s: keras.losses.binary_crossentropy(
            y * (1 - s) + s / 5, logits, from_logits=True
        ),
        "focal": lambda y, s: keras.losses.categorical_focal_crossentropy(
            y, logits, alpha=1.0, gamma=2.0, from_logits=True, label_smoothing=s
        ),
    }
    assert theirs.keys() == losses.LOSSES.keys()
    for name, loss in losses.LOSSES.items():
        for smoothing in (0.0, 0.1):
            ours = losses.smoothed(loss, smoothing)
            for y, dense in ((labels, certain), (shares, shares)):
                np.testing.assert_allclose(
                    ours(y, logits), theirs[name](dense, smoothing), rtol=1e-5, atol=2e-6
                )
    certain_loss = losses.kl_divergence(labels, logits)
    np.testing.assert_array_equal(certain_loss, losses.cross_entropy(labels, logits))


def test_an_unknown_loss_is_refused():
    words = "loss must be one of cross_entropy, kl, binary, focal, got 'hinge'"
    with pytest.raises(ValueError, match=words):
        losses.named("hinge")


def test_the_names_in_the_settings_are_those_here():
    assert choices.OPTIMIZERS == optimizers.NAMES
    assert choices.SCHEDULES == schedules.NAMES
    assert set(choices.LOSSES) == {"auto", *losses.LOSSES}


def test_clipping_keeps_the_direction():
    clipped = optimizers.clipped([tf.constant([3.0]), tf.constant([[4.0]])], 1.0)
    assert math.isclose(float(clipped[0][0]), 0.6, rel_tol=1e-6)
    assert math.isclose(float(clipped[1][0, 0]), 0.8, rel_tol=1e-6)
