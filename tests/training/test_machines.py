"""Several machines: real worker processes on the loopback interface."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from hw2.input.sources import builtin, idx
from hw2.runs import checkpoints
from tests.training import machines
from tests.training.compare import assert_same_run, learned

LOSSES = 0.05  # of a loss, over 200 steps
TINY = ["tests/training/tiny.py", "--several"]


def until_step(folder, step, processes):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if any(int(p.name[5:]) >= step for p in checkpoints.listing(folder / "checkpoints")):
            return
        assert [p.poll() for p in processes] == [None, None], machines.said(folder, 0)
        time.sleep(0.02)
    raise AssertionError(machines.said(folder, 0))


@pytest.mark.fault(63)
@pytest.mark.fault(106)
def test_a_worker_that_is_killed_ends_the_others_and_all_go_on(train, tmp_path):
    """At the end both score the test data together: what one does alone would wait for ever."""
    folder = tmp_path / "two"
    digits = load_digits()
    for index in range(30):
        picture = tmp_path / "test" / str(digits.target[index]) / f"{index}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(digits.images[index] * 15)).save(picture)
    flags = ["--max_steps=120", "--save_checkpoint_steps=40", "--mixup=0.4", "--cutmix=1"]
    flags += ["--tensorboard", "--histogram_steps=20", f"--test_data_path={tmp_path / 'test'}"]
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
    assert "resuming from step " in machines.said(folder, 0)
    [line] = (tmp_path / "two.out0").read_text().splitlines()
    result = json.loads(line)
    assert (result["step"], result["test_num_examples"]) == (120, 30)
    assert result["test_top1"] > 0.5
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
def test_workers_by_slurm_and_a_loss_that_is_not_finite_on_all(tmp_path):
    slurm = machines.by_slurm()
    processes = machines.start(TINY, tmp_path / "run", environments=slurm)
    assert machines.wait(processes, 120) == [0, 0], machines.said(tmp_path / "run", 0)
    assert "worker 1 of 2 takes connections" in machines.said(tmp_path / "run", 1)
    processes = machines.start(TINY, tmp_path / "bad", "--learning_rate=1e30", "--optimizer=sgd")
    assert machines.wait(processes, 120) == [5, 5], machines.said(tmp_path / "bad", 1)
    assert "error: loss is " in machines.said(tmp_path / "bad", 0)
    assert "not taken" in machines.said(tmp_path / "bad", 1)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_signal_to_one_worker_stops_all_at_one_step(tmp_path):
    whole, cut, flags = tmp_path / "whole", tmp_path / "cut", ["--max_steps=1000"]
    assert machines.wait(machines.start(TINY, whole, *flags), 600) == [0, 0]
    processes = machines.start(TINY, cut, *flags)
    until_step(cut, 8, processes)
    processes[1].send_signal(signal.SIGTERM)
    assert machines.wait(processes, 60) == [143, 143]
    assert "stopped by SIGTERM at step " in machines.said(cut, 0)
    assert machines.wait(machines.start(TINY, cut, *flags), 600) == [0, 0]
    assert_same_run(cut, whole)


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not idx.is_in(builtin.FASHION_FOLDER), reason="no dataset-fashion-mnist here")
def test_two_workers_train_fashion_mnist_as_one_process_does_and_outlive_each(tmp_path):
    flags = [
        "--flagfile=config.cfg",
        "--section=fashion_mnist",
        "--test_data_path=",
        "--validation_fraction=0.01",
        "--batch_size=32",
        "--save_checkpoint_steps=50",
        "--log_frequency=10",
        "--learning_rate=1e-4",
    ]
    two, one = tmp_path / "two", tmp_path / "one"
    script = ["multi_gpu_train.py"]
    processes = machines.start(script, two, *flags, "--max_steps=200")
    assert machines.wait(processes, 400) == [0, 0], machines.said(two, 0)
    subprocess.run(
        [sys.executable, "train.py", *flags, "--max_steps=200", f"--log_path={one}"],
        cwd=machines.ROOT,
        check=True,
        capture_output=True,
    )
    rows, expected = learned(two), learned(one)
    assert [row[0] for row in rows] == [row[0] for row in expected]
    ours = np.float64([row[1] for row in rows[1:]])
    theirs = np.float64([row[1] for row in expected[1:]])
    worst = np.max(np.abs(ours / theirs - 1))
    print(f"largest difference of a loss over 200 steps: {worst:.1e}")
    assert worst < LOSSES
    for victim, goal in ((0, 250), (1, 300)):
        processes = machines.start(script, two, *flags, "--max_steps=400")
        until_step(two, goal, processes)
        processes[victim].kill()
        codes = machines.wait(processes, 60)
        assert codes[1 - victim] == 6, machines.said(two, 1 - victim)
        assert f"task:{victim} - it ended" in machines.said(two, 1 - victim)
    processes = machines.start(script, two, *flags, "--max_steps=400")
    assert machines.wait(processes, 400) == [0, 0], machines.said(two, 0)
    assert int(learned(two)[-1][0]) == 400
