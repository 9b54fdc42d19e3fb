"""The soak itself, which `make soak` runs at its full length."""

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.fault(46)
def test_a_training_killed_four_times_ends_as_one_left_alone():
    words = [sys.executable, "-m", "tests.training.soak", "4"]
    environ = os.environ | {"PYTHONPATH": os.getcwd()}
    done = subprocess.run(words, capture_output=True, text=True, env=environ)
    assert done.returncode == 0, done.stderr
    assert "bit-equal to the undisturbed run's" in done.stdout
