"""Runs that several files of tests ask, and pictures that are of no class."""

import sys

import numpy as np
import pytest

from hw2.config import settings
from hw2.jobs import train
from hw2.models import MODELS
from tests import guide
from tests.training.tiny import FLAGS, tiny


@pytest.fixture(scope="module")
def known():
    """`--model=tiny`, in a process that was started as train.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", tiny)
        patch.setattr(sys, "argv", ["train.py"])
        yield


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    """Twenty little pictures in two class folders."""
    return guide.drawings(tmp_path_factory.mktemp("data") / "pictures", "cat dog", 1)


@pytest.fixture(scope="session")
def noise_run(noise, tmp_path_factory):
    """A run on them, of two steps."""
    folder = tmp_path_factory.mktemp("run") / "run"
    flags = [*guide.CUT, "--model=simple_cnn", "--kernel_size=3", f"--log_path={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        train.train(settings.parse(["train.py", f"--train_data_path={noise}", *flags]))
    return folder


@pytest.fixture(scope="session")
def digits_of_tiny(tmp_path_factory):
    """A run of 60 steps on digits. Whoever changes it takes a copy."""
    folder = tmp_path_factory.mktemp("run") / "digits"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", tiny)
        patch.setattr(sys, "argv", ["train.py"])
        train.train(settings.parse(["train.py", *FLAGS, f"--log_path={folder}", "--max_steps=60"]))
    return folder


@pytest.fixture(scope="session")
def no_digits(tmp_path_factory):
    """Forty pictures of noise, as an array."""
    path = tmp_path_factory.mktemp("unknown") / "noise.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8))
    return path
