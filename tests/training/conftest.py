"""Trainings within the process of the tests."""

import os
import signal
import sys

import pytest

from hw2 import config, experiment
from hw2.errors import Interrupted
from hw2.models import MODELS
from hw2.training import devices
from tests.packages import stamps
from tests.training.tiny import FLAGS, tiny

__all__ = ["stamps"]


@pytest.fixture
def train(monkeypatch, two_devices):
    """Calls `experiment.train` as tests/training/tiny.py does, with more flags."""
    monkeypatch.setitem(MODELS, "tiny", tiny)
    monkeypatch.setattr(devices, "mirrored", lambda *counts: two_devices)
    monkeypatch.setattr(sys, "argv", ["train.py"])

    def call(folder, *flags, **options):
        experiment.train(
            config.parse(["train.py", *FLAGS, f"--log_path={folder}", *flags]), **options
        )

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
