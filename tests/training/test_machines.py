"""Several machines: real worker processes on the loopback interface."""

import json
import signal
import time

import numpy as np
import pytest

from hw2.training import checkpoints
from tests.training import machines
from tests.training.compare import assert_same_run, learned

TINY = ["tests/training/tiny.py", "--several"]


def until_step(folder, step, processes):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(int(p.name[5:]) >= step for p in checkpoints.listing(folder / "checkpoints")):
            return
        assert [p.poll() for p in processes] == [None, None], machines.said(folder, 0)
        time.sleep(0.02)
    raise AssertionError(machines.said(folder, 0))


def test_a_worker_that_is_killed_ends_the_others_and_all_go_on(train, tmp_path):
    folder, flags = tmp_path / "two", ["--max_steps=400", "--save_checkpoint_steps=40"]
    processes = machines.start(TINY, folder, *flags)
    until_step(folder, 40, processes)
    processes[1].kill()
    assert machines.wait(processes, 60) == [6, -signal.SIGKILL]
    words = machines.said(folder, 0)
    assert "error: lost /job:worker/replica:0/task:1 - it ended, froze, or cannot be reached" in (
        words
    )
    assert "Traceback" not in words
    assert "takes connections from everywhere at port" in words

    processes = machines.start(TINY, folder, *flags)
    assert machines.wait(processes, 120) == [0, 0], machines.said(folder, 1)
    assert "going on from step " in machines.said(folder, 0)
    [line] = (tmp_path / "two.out0").read_text().splitlines()
    assert json.loads(line)["step"] == 400
    assert (tmp_path / "two.out1").read_text() == ""

    train(tmp_path / "one", *flags, "--logical_devices=2", mirrored=True)
    two, one = learned(folder), learned(tmp_path / "one")
    assert [row[0] for row in two] == [row[0] for row in one]
    np.testing.assert_allclose(  # sums in another order, and Adam divides rounding by little
        np.float64([row[1] for row in two[1:]]),
        np.float64([row[1] for row in one[1:]]),
        rtol=2e-3,
    )


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
def test_whichever_worker_is_lost_however(tmp_path, victim, signum):
    folder, flags = tmp_path / "two", ["--max_steps=2000", "--save_checkpoint_steps=40"]
    processes = machines.start(TINY, folder, *flags)
    until_step(folder, 40, processes)
    processes[victim].send_signal(signum)
    machines.wait([processes[1 - victim]], 60)
    processes[victim].kill()
    processes[victim].wait()
    assert processes[1 - victim].poll() == 6, machines.said(folder, 1 - victim)
    assert f"error: lost /job:worker/replica:0/task:{victim} - " in machines.said(
        folder, 1 - victim
    )


@pytest.mark.slow
def test_a_signal_to_one_worker_stops_all_at_one_step(tmp_path):
    whole, cut, flags = tmp_path / "whole", tmp_path / "cut", ["--max_steps=3000"]
    assert machines.wait(machines.start(TINY, whole, *flags), 120) == [0, 0]
    processes = machines.start(TINY, cut, *flags)
    until_step(cut, 8, processes)
    processes[1].send_signal(signal.SIGTERM)
    assert machines.wait(processes, 60) == [143, 143]
    assert "stopped by SIGTERM at step " in machines.said(cut, 0)
    assert machines.wait(machines.start(TINY, cut, *flags), 120) == [0, 0]
    assert_same_run(cut, whole)
