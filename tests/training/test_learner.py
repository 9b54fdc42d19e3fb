"""A step on one device, on two, and in parts: the same gradients to rounding."""

import numpy as np
import pytest
import tensorflow as tf

from hw2.layers import norm
from hw2.layers.dense import Dense
from hw2.layers.penalty import l2_penalty
from hw2.layers.sequential import Sequential, flatten, relu
from hw2.training import losses, optimizers
from hw2.training.learner import Learner
from tests.training.tiny import tiny

# Sums of 16 rows in another order, each rounded to 6e-8; the largest seen is 3e-7.
ROUNDING = 2e-6
RATE = 1e3  # so large that what is left of the weights rounds nothing away


def plain(*, seed=0):
    """Without batch norm or dropout, which see the parts of a batch one by one."""
    rng = np.random.default_rng(seed)
    hidden, head = Dense(64, 32, rng=rng), Dense(32, 10, rng=rng)
    return Sequential({"flatten": flatten, "hidden": hidden, "relu": relu, "head": head})


def synchronized():
    model = tiny((8, 8, 1), 10, seed=0)
    norm.synchronize(model)
    return model


def gradients(strategy, build, *, mixed=False, **options):
    """By a step of plain descent, which leaves them in the weights."""
    rng = np.random.default_rng(1)
    images = rng.standard_normal((1, 16, 8, 8, 1)).astype(np.float32)
    labels = rng.integers(0, 10, (1, 16)).astype(np.int32)
    if mixed:
        labels = rng.dirichlet(np.ones(10), (1, 16)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((images, labels))
    with strategy.scope():
        learner = Learner(
            build,
            penalty=l2_penalty,
            ema_decay=0.9,
            seed=0,
            optimizer=lambda variables: optimizers.make("sgd", variables, momentum=0.0),
            **options,
        )
        before = {n: v.numpy() for n, v in learner.tensors.items() if n.startswith("model/")}
        [batch] = strategy.experimental_distribute_dataset(data)
        result = learner.train_step(batch, step=0, rate=RATE)
    assert float(result["finite"]) == 1
    after = {name: learner.tensors[name].numpy() for name in before}
    changes = {name: before[name] - after[name] for name in before}
    for name, variable in learner.tensors.items():
        if name in changes and variable.trainable:
            changes[name] /= RATE
    return float(result["loss"]), changes


def assert_close(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-6)
    for name, value in one[1].items():
        error = np.max(np.abs(value - other[1][name])) / np.max(np.abs(value))
        assert error <= ROUNDING, (name, error)


@pytest.mark.parametrize("clip_norm", [0.0, 0.1])
@pytest.mark.parametrize(
    ("loss", "mixed"),
    [
        (losses.cross_entropy, False),
        (losses.smoothed(losses.kl_divergence, 0.1), True),
        (losses.weighted(losses.focal, [*range(1, 11)]), True),
    ],
)
def test_two_devices_have_the_gradients_of_one(two_devices, loss, mixed, clip_norm):
    options = {"loss": loss, "clip_norm": clip_norm, "mixed": mixed}
    one = gradients(tf.distribute.get_strategy(), synchronized, **options)
    assert_close(gradients(two_devices, synchronized, **options), one)
    if clip_norm:  # of all the gradients together, after they are summed
        names = [n for n in one[1] if "norm/mean" not in n and "norm/variance" not in n]
        total = np.sqrt(sum(np.sum(np.square(one[1][n], dtype=np.float64)) for n in names))
        assert total == pytest.approx(clip_norm, rel=1e-5)


def test_a_batch_in_parts_has_the_gradients_of_the_whole(two_devices):
    whole = gradients(tf.distribute.get_strategy(), plain)
    for parts in (2, 4):
        assert_close(gradients(tf.distribute.get_strategy(), plain, accumulate=parts), whole)
    assert_close(gradients(two_devices, plain, accumulate=4), whole)


def test_a_layer_that_is_used_twice_is_trained_once():
    def build():
        rng = np.random.default_rng(0)
        shared, head = Dense(64, 64, rng=rng), Dense(64, 10, rng=rng)
        return Sequential({"flatten": flatten, "a": shared, "b": shared, "head": head})

    rng = np.random.default_rng(1)
    images = tf.constant(rng.standard_normal((16, 8, 8, 1)), tf.float32)
    labels = tf.constant(rng.integers(0, 10, 16), tf.int32)
    learner = Learner(
        build,
        penalty=lambda model: tf.zeros([]),
        ema_decay=0.9,
        seed=0,
        optimizer=lambda variables: optimizers.make("sgd", variables, momentum=0.0),
    )
    w = learner.model.stages["a"].w
    before = w.numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(losses.cross_entropy(labels, learner.model(images)))
    gradient = tape.gradient(loss, w).numpy()
    learner.train_step((images, labels), step=0, rate=0.5)
    np.testing.assert_allclose(w, before - 0.5 * gradient, atol=ROUNDING)
    averaged = 0.1 * before + 0.9 * w.numpy()  # of the first step, which keeps a tenth
    np.testing.assert_allclose(learner.averaged.stages["a"].w, averaged, atol=ROUNDING)
    assert [name for name in learner.tensors if "/b/" in name] == []


def test_an_unknown_precision_is_refused():
    words = "precision must be float32 or mixed_bfloat16, got 'float16'"
    with pytest.raises(ValueError, match=words):
        Learner(plain, penalty=l2_penalty, ema_decay=0.9, seed=0, precision="float16")


def test_two_devices_each_with_their_own_batch_norm_stay_equal(two_devices):
    """Moving statistics are means over the devices, so one checkpoint has them all."""
    _, change = gradients(two_devices, lambda: tiny((8, 8, 1), 10, seed=0))
    halves = [
        gradients_of_half(half)["model/stages/conv/stages/conv1/norm/mean"] for half in (0, 1)
    ]
    np.testing.assert_allclose(
        change["model/stages/conv/stages/conv1/norm/mean"], np.mean(halves, 0), rtol=1e-5
    )


def gradients_of_half(half):
    rng = np.random.default_rng(1)
    images = rng.standard_normal((1, 16, 8, 8, 1)).astype(np.float32)[0]
    model = tiny((8, 8, 1), 10, seed=0)
    before = model.stages["conv"].stages["conv1"]
    norm_layer = next(m for m in before.submodules if isinstance(m, norm.BatchNorm))
    first = norm_layer.mean.numpy()
    model(tf.constant(images[half * 8 : half * 8 + 8]), training=True, seed=tf.constant([0, 0]))
    return {"model/stages/conv/stages/conv1/norm/mean": first - norm_layer.mean.numpy()}


def test_mixed_bfloat16_multiplies_in_bfloat16_and_keeps_all_else_in_float32():
    rng = np.random.default_rng(1)
    images = tf.constant(rng.standard_normal((16, 8, 8, 1)), tf.float32)
    labels = tf.constant(rng.integers(0, 10, 16), tf.int32)

    def learned(precision):
        learner = Learner(plain, penalty=l2_penalty, ema_decay=0.9, seed=0, precision=precision)
        steps = [learner.train_step((images, labels), step=i, rate=1e-3) for i in range(20)]
        return learner, [float(metrics["loss"]) for metrics in steps]

    (learner, low), (_, high) = learned("mixed_bfloat16"), learned("float32")
    np.testing.assert_allclose(low, high, rtol=0.02)
    assert low != high
    assert low[-1] < 0.8 * low[0]
    assert {variable.dtype for variable in learner.tensors.values()} == {tf.float32}
    function = learner._train.get_concrete_function(
        (images, labels), tf.constant(0, tf.int64), tf.constant(0.1), tf.constant(0.0)
    )
    products = [op for op in function.graph.get_operations() if op.type == "MatMul"]
    assert {op.outputs[0].dtype for op in products} == {tf.bfloat16}
