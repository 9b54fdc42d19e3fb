"""Two CPU devices for every test, set before anything runs on the first; small trainings."""

import os
import signal
import sys
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("HW2_CONV_CHOICE", "rule")  # no algorithm is chosen by a clock

import pytest
import tensorflow as tf

from hw2 import ops
from hw2.commands import main
from hw2.config import settings
from hw2.errors import Interrupted
from hw2.jobs import folds
from hw2.jobs import train as experiment
from hw2.machines import devices
from hw2.models import MODELS
from hw2.ops.direct import library
from hw2.terminal import noise
from tests.training.tiny import FLAGS, SHORT, tiny

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` would have the trainings ignore it
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


@pytest.fixture(scope="session", autouse=True)
def kernel():
    """Builds the convolution kernel, once for a machine, before a test looks at stderr."""
    library.available()


@pytest.fixture(scope="session")
def two_devices() -> tf.distribute.Strategy:
    """The one strategy over both devices: collectives of a second one would take the same keys."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def train(monkeypatch, two_devices):
    """Calls `experiment.train` as tests/training/tiny.py does, with more flags."""
    monkeypatch.setitem(MODELS, "tiny", tiny)
    monkeypatch.setattr(devices, "mirrored", lambda *counts: two_devices)
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def call(folder, *flags, **options):
        experiment.train(
            settings.parse(["train.py", *FLAGS, f"--log_path={folder}", *flags]), **options
        )

    return call


@pytest.fixture(scope="session")
def two_folds(tmp_path_factory):
    """What two short trainings of digits have found, each of a half that the other held out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", tiny)
        folder = tmp_path_factory.mktemp("folds") / "run"
        config = settings.parse(["folds", *SHORT, f"--log_path={folder}"])
        return folds.run(config, folds=2, seeds=0)


@pytest.fixture
def command(monkeypatch):
    """Calls `hw2 WORDS` in this process; returns the exit code."""
    monkeypatch.setattr(noise, "quiet_tensorflow", lambda: None)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back at the end

    def call(*words):
        with pytest.raises(SystemExit) as left:
            main.main(["hw2", *map(str, words)])
        return left.value.code

    return call


@pytest.fixture
def stop(train):
    """Trains until a step, where a real signal comes; returns what was raised."""

    def call(folder, step, *flags, signum=signal.SIGTERM, **options):
        def send(run):
            if run.step == step:
                os.kill(os.getpid(), signum)

        with pytest.raises(Interrupted) as raised:
            train(folder, *flags, hooks=[send], **options)
        return raised.value

    return call


@pytest.fixture
def convolutions(monkeypatch) -> list[str]:
    """Names of the algorithms of `conv2d`, in the order in which they are called or traced."""
    calls = []
    for name, function in list(ops.ALGORITHMS.items()):

        def spy(*inputs, name=name, function=function):
            calls.append(name)
            return function(*inputs)

        monkeypatch.setitem(ops.ALGORITHMS, name, spy)
    return calls
