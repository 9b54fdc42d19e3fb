"""A run of two steps, which several tests ask."""

import sys

import pytest

from hw2.config import settings
from hw2.jobs import train
from tests import guide


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    """Twenty little pictures in two class folders."""
    return guide.drawings(tmp_path_factory.mktemp("data") / "pictures", "cat dog", 1)


@pytest.fixture(scope="session")
def noise_run(noise, tmp_path_factory):
    """A run on them."""
    folder = tmp_path_factory.mktemp("run") / "run"
    flags = [*guide.CUT, "--model=simple_cnn", "--kernel_size=3", f"--log_path={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        train.train(settings.parse(["train.py", f"--train_data_path={noise}", *flags]))
    return folder
