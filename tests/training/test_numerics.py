"""Values that are not finite stop the training before they do harm, and are explained."""

import math

import numpy as np
import pytest
import tensorflow as tf

from hw2.errors import NotFinite
from hw2.machines.signals import Signals
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


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
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
