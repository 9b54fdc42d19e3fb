"""Values that are not finite stop the training before they do harm, and are explained."""

import contextlib
import itertools
import math
import re

import numpy as np
import pytest
import tensorflow as tf

from hw2 import ops
from hw2.errors import NotFinite, UsageError
from hw2.layers.conv import Conv, conv_stack
from hw2.layers.dense import Dense
from hw2.layers.norm import BatchNorm
from hw2.layers.pool import global_mean
from hw2.layers.sequential import Sequential
from hw2.machines.signals import Signals
from hw2.ops import fusion, timing
from hw2.runs import checkpoints
from hw2.training import numerics
from hw2.training.learner import Learner
from hw2.training.optimizers import make
from hw2.training.step import Steps
from tests.training.compare import assert_same_run, last, learned
from tests.training.test_learner import plain
from tests.training.tiny import tiny

NAMES = [f"{row}.png" for row in range(16)]


def learner(strategy, build, **options):
    with strategy.scope():
        return Learner(
            build,
            penalty=lambda model: tf.zeros([]),
            ema_decay=0.9,
            seed=0,
            **options,
        )


def batch(strategy, images):
    labels = np.arange(16, dtype=np.int32) % 10
    data = tf.data.Dataset.from_tensors((images.astype(np.float32), labels))
    [one] = strategy.experimental_distribute_dataset(data)
    return one


@pytest.mark.parametrize(
    ("optimizer", "value", "devices"),
    [
        ("adamw", math.nan, 1),
        ("sgd", math.inf, 2),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in itertools.product(["adamw", "sgd"], [math.nan, math.inf], [1, 2])
            if case not in (("adamw", math.nan, 1), ("sgd", math.inf, 2))
        ),
    ],
)
@pytest.mark.fault(65)
def test_a_step_that_is_not_finite_changes_nothing_and_names_its_place(
    two_devices, devices, value, optimizer
):
    strategy = two_devices if devices == 2 else tf.distribute.get_strategy()
    images = np.random.default_rng(0).standard_normal((16, 8, 8, 1))
    made = learner(
        strategy,
        lambda: tiny((8, 8, 1), 10, seed=0),
        optimizer=lambda variables: make(optimizer, variables, weight_decay=0.1),
    )
    steps = Steps(made, Signals(), names=lambda step: NAMES)
    with strategy.scope():
        steps(batch(strategy, images), step=0, rate=0.1)
        before = {name: variable.numpy() for name, variable in made.tensors.items()}
        images[11, 3, 3] = value
        words = r"loss is nan in step 2, first in \w+ .*, in the (pictures|batch of) .*\.png"
        with pytest.raises(NotFinite, match=words) as raised:
            steps(batch(strategy, images), step=1, rate=0.1)
    assert raised.value.exit_code == 5
    for name, variable in made.tensors.items():  # batch norm's statistics and averages included
        np.testing.assert_array_equal(variable.numpy(), before[name], err_msg=name)


def test_the_picture_that_is_not_finite_is_named(two_devices):
    images = np.random.default_rng(0).standard_normal((16, 8, 8, 1))
    images[11, 3, 3], images[14, 0, 0] = math.inf, math.nan
    for strategy in (tf.distribute.get_strategy(), two_devices):
        steps = Steps(learner(strategy, plain), Signals(), names=lambda step: NAMES)
        with (
            strategy.scope(),
            pytest.raises(NotFinite, match=r"in the pictures 11\.png, 14\.png - the step at"),
        ):
            steps(batch(strategy, images), step=0, rate=0.1)


def test_a_gradient_that_is_not_finite_is_told_from_the_loss():
    def build():
        model = plain()
        model.stages["root"] = lambda x, training, seed: x * tf.sqrt(tf.nn.relu(x) * 0)
        return model

    steps = Steps(learner(tf.distribute.get_strategy(), build), Signals(), names=lambda step: NAMES)
    images = np.random.default_rng(0).standard_normal((16, 8, 8, 1))
    words = r"a gradient is not finite in step 1, first in .*, in the batch of 0\.png, 1\.png"
    with pytest.raises(NotFinite, match=words):
        steps(batch(tf.distribute.get_strategy(), images), step=0, rate=0.1)


def test_a_norm_that_overflows_is_not_clipped_to_nan():
    strategy = tf.distribute.get_strategy()
    made = Learner(
        plain,
        penalty=lambda model: 1e25 * tf.reduce_sum(model.stages["head"].w),
        ema_decay=0.9,
        seed=0,
        clip_norm=1.0,
    )
    before = {name: variable.numpy() for name, variable in made.tensors.items()}
    images = np.random.default_rng(0).standard_normal((16, 8, 8, 1))
    result = made.train_step(batch(strategy, images), step=0, rate=0.1)
    assert math.isfinite(float(result["loss"]))
    assert float(result["finite"]) == 0
    for name, variable in made.tensors.items():
        np.testing.assert_array_equal(variable.numpy(), before[name], err_msg=name)


SIDE = 64  # of 16 pictures with 4 channels: as many values as are worth compiling


def convolutions(between=None):
    """Two convolutions with batch norm, whose gradients by patches are compiled from this size."""
    rng = np.random.default_rng(0)
    layers = {
        "conv1": conv_stack(1, [4], [3], strides=[1], rng=rng),
        **({"root": between} if between else {}),
        "conv2": conv_stack(4, [4], [3], strides=[1], rng=rng),
        "mean": global_mean,
        "head": Dense(4, 10, rng=rng),
    }
    return Sequential(layers)


def large_pictures():
    return np.random.default_rng(0).standard_normal((16, SIDE, SIDE, 1))


@contextlib.contextmanager
def checks():
    tf.debugging.enable_check_numerics()
    try:
        yield
    finally:
        tf.debugging.disable_check_numerics()


@pytest.fixture
def compiled(monkeypatch):
    """Counts what XLA is asked to compile."""
    plain, calls = tf.function, []

    def function(*inputs, **options):
        calls.extend([True] * bool(options.get("jit_compile")))
        return plain(*inputs, **options)

    monkeypatch.setattr(tf, "function", function)
    return calls


@pytest.mark.fault(122)
def test_nothing_is_compiled_while_each_operation_is_checked(compiled):
    strategy = tf.distribute.get_strategy()
    with ops.algorithm("tensorflow_ops"):
        made = learner(strategy, convolutions)
        one = batch(strategy, large_pictures())
        made.train_step(one, step=0, rate=0.1)
        assert compiled  # without a check it is
        compiled.clear()
        made = learner(strategy, convolutions)
        with checks(), numerics.naming_operation(0):
            assert float(made.train_step(one, step=0, rate=0.1)["finite"]) == 1
    assert not compiled


@pytest.mark.fault(122)
def test_a_check_that_was_on_before_a_training_lets_it_start(compiled):
    with checks():
        fusion.warm_up()
    assert not compiled


@pytest.mark.fault(122)
def test_no_time_is_measured_and_remembered_while_each_operation_is_checked(monkeypatch):
    monkeypatch.setenv("HW2_CONV_CHOICE", "")
    monkeypatch.setattr(timing, "_read", dict)
    monkeypatch.setattr(timing, "_measure", lambda *inputs: pytest.fail("measured"))
    x, w = tf.zeros([2, 9, 13, 8]), tf.zeros([3, 3, 8, 8])
    with checks():
        tf.function(lambda x, w: ops.conv2d(x, w, algorithm="fastest"), autograph=False)(x, w)


def with_compiled_layer():
    model = plain()

    def layer(x, training, seed):
        return tf.function(lambda x: x * tf.math.log(x - x), autograph=False, jit_compile=True)(x)

    model.stages["root"] = layer
    return model


@pytest.mark.fault(122)
def test_a_layer_that_compiles_itself_is_told_of():
    strategy = tf.distribute.get_strategy()
    steps = Steps(learner(strategy, with_compiled_layer), Signals(), names=lambda step: NAMES)
    one = batch(strategy, np.ones((16, 8, 8, 1)))
    words = (
        "--check_numerics cannot look into a part of the model that XLA compiles - TensorFlow's "
        "check is no operation of XLA; call that part without jit_compile=True, or leave out "
        "--check_numerics"
    )
    with checks(), pytest.raises(UsageError, match=f"^{re.escape(words)}$"):
        steps(one, step=0, rate=0.1)
    steps = Steps(learner(strategy, with_compiled_layer), Signals(), names=lambda step: NAMES)
    why = "not found: XLA compiles a part of the model, where no operation can be looked at"
    with pytest.warns(UserWarning, match=why), pytest.raises(NotFinite, match="in step 1, in the"):
        steps(one, step=0, rate=0.1)


def with_bad_gradient():
    return convolutions(lambda x, training, seed: x + tf.sqrt(tf.nn.relu(x) * 0))


@pytest.mark.fault(123)
@pytest.mark.parametrize(
    "kind",
    ["two devices", *(pytest.param(k, marks=pytest.mark.slow) for k in ("one device", "in parts"))],
)
def test_a_gradient_of_large_pictures_is_explained_too(two_devices, kind):
    strategy = two_devices if kind == "two devices" else tf.distribute.get_strategy()
    accumulate = 2 if kind == "in parts" else 1
    with ops.algorithm("tensorflow_ops"):
        made = learner(strategy, with_bad_gradient, accumulate=accumulate)
        steps = Steps(made, Signals(), names=lambda step: NAMES)
        words = r"a gradient is not finite in step 1, first in SqrtGrad \(.*root/Sqrt.*\), in the"
        with strategy.scope(), pytest.raises(NotFinite, match=words):
            steps(batch(strategy, large_pictures()), step=0, rate=0.1)


PLACES = 10
SOME = (0, 4, 9)  # the others are the same in the middle of the network


@pytest.fixture(scope="module")
def planted(two_devices):
    """A learner on two devices, and the place where a fault comes up on the second one alone."""

    def plant(number):
        def layer(x, training, seed):
            if place[0] != number:
                return x
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return x + tf.sqrt(0.5 - tf.cast(replica, x.dtype), name="planted")

        return layer

    def build():
        rng = np.random.default_rng(0)
        layers = {}
        for number in range(PLACES):
            layers[f"place{number}"] = plant(number)
            if number % 3 == 0:
                layers[f"conv{number}"] = Conv(4 if number else 1, 4, rng=rng)
        layers |= {"norm": BatchNorm(4), "mean": global_mean, "head": Dense(4, 10, rng=rng)}
        return Sequential(layers)

    place = [None]
    return learner(two_devices, build), place


@pytest.mark.fault(124)
@pytest.mark.parametrize(
    "number",
    [pytest.param(n, marks=[] if n in SOME else pytest.mark.slow) for n in range(PLACES)],
)
def test_a_fault_is_found_where_it_is_and_not_where_the_first_look_left_it(
    two_devices, planted, number
):
    """The first look spoils the statistics of batch norm, which the second would read first."""
    made, place = planted
    place[0] = number
    images = np.random.default_rng(0).standard_normal((16, 8, 8, 1))
    with two_devices.scope():
        found = made.not_finite(batch(two_devices, images), step=0)
    assert re.fullmatch(rf"Sqrt \((replica_1/)?place{number}/planted\)", found.operation)
    assert found.rows == tuple(range(8, 16))
    for name, variable in made.tensors.items():
        assert np.isfinite(variable.numpy()).all(), name


@pytest.mark.fault(124)
@pytest.mark.parametrize("scale", [1e25, 1e37])
def test_a_variance_that_overflows_is_not_taken_for_bad_statistics(scale):
    strategy = tf.distribute.get_strategy()
    made = learner(strategy, convolutions)
    images = scale * np.random.default_rng(0).standard_normal((16, 8, 8, 1))
    found = made.not_finite(batch(strategy, images), step=0)
    assert "ReadVariableOp" not in found.operation  # no variable is anything but finite


def test_an_operation_is_found_by_its_name():
    def function():
        tf.function(lambda x: tf.math.log(x, name="deep") + 1, autograph=False)(tf.constant(-1.0))

    assert numerics.first_not_finite(function) == "Log (deep)"
    assert numerics.first_not_finite(lambda: tf.constant(1.0) + 1) is None


def test_weights_that_become_nan_stop_the_run_at_that_step(train, tmp_path):
    """The checkpoint before is good, and the run goes on from it."""

    def spoil(run):
        if run.step == 6:
            gone.append(run.step)
            variables["w"].assign(variables["w"] * math.nan)

    gone, variables = [], {}
    plain_init = Learner.__init__

    def remember(self, *args, **options):
        plain_init(self, *args, **options)
        variables["w"] = self.model.stages["head"].w

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "__init__", remember)
        place = r"first in ReadVariableOp \(head/.*\)"
        words = rf"loss is nan in step 7, {place}, in the batch of 0\d{{4}}, "
        with pytest.raises(NotFinite, match=words):
            train(tmp_path / "cut", "--save_checkpoint_steps=4", hooks=[spoil])
    assert gone == [6]
    assert last(tmp_path / "cut")[0] == "step-00000004"
    assert [row[0] for row in learned(tmp_path / "cut")[1:]] == ["4", "5"]
    train(tmp_path / "cut", "--save_checkpoint_steps=4")
    train(tmp_path / "whole", "--save_checkpoint_steps=4")
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.fault(66)
def test_a_rate_too_high_ends_with_exit_code_5_and_never_a_model(train, tmp_path):
    for flags in (["--learning_rate=1e30"], ["--learning_rate=1e30", "--optimizer=sgd"]):
        with pytest.raises(NotFinite, match="in step "):
            train(tmp_path / flags[-1], *flags)
        assert checkpoints.listing(tmp_path / flags[-1] / "checkpoints") == []


def test_check_numerics_names_the_operation(train, tmp_path):
    words = r"a value is not finite in step \d - first in \w+"
    with pytest.raises(NotFinite, match=words):
        train(tmp_path, "--learning_rate=1e30", "--optimizer=sgd", "--check_numerics")
    train(tmp_path, "--check_numerics", "--max_steps=2")


@pytest.mark.fault(66)
def test_pictures_of_one_colour_and_batches_of_one(train, tmp_path, capsys):
    from PIL import Image

    for name, count in {"black": 9, "white": 9, "one": 1}.items():
        for i in range(count):
            file = tmp_path / "data" / name / f"{i}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            level = {"black": i, "white": 255 - i, "one": 128}[name]  # no two files are equal
            Image.new("L", (8, 8), level).save(file)
    data = f"--train_data_path={tmp_path / 'data'}"
    train(tmp_path / "run", data, "--batch_size=1", "--max_steps=8")
    found = checkpoints.newest(tmp_path / "run" / "checkpoints")
    assert all(np.isfinite(value).all() for value in found.tensors().values())
    assert math.isfinite(found.state["validation"]["loss"])


@pytest.mark.fault(70)
def test_one_seed_gives_one_run_and_another_another(train, tmp_path):
    for name, seed in [("a", 5), ("b", 5), ("c", 6)]:
        train(tmp_path / name, f"--seed={seed}", "--max_steps=8")
    assert_same_run(tmp_path / "a", tmp_path / "b")
    assert last(tmp_path / "a")[1] != last(tmp_path / "c")[1]
