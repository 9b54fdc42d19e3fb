"""Two CPU devices for every test, set before anything runs on the first; small runs, a browser."""

import os
import shutil
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
from tests import small
from tests.packages import installed
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


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A run of six steps on digits, in a folder whose name a page has to escape."""
    folder = tmp_path_factory.mktemp("runs") / "digits & <more>"
    sides = ["--image_size=16", "--short_side=16", "--crop_size=16", "--batch_size=64"]
    return small.train(folder, "--train_data_path=digits", *sides)


@pytest.fixture(scope="session")
def browser():
    """Chromium, with a camera that shows a test picture."""
    chromium = installed(shutil.which("chromium") or "chromium", "chromium")
    driver = installed(shutil.which("chromedriver") or "chromedriver", "chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{word}")
    for word in ("device", "ui"):
        options.add_argument(f"--use-fake-{word}-for-media-stream")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(str(driver)))
    yield started
    started.quit()
