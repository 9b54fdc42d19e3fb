"""Signals end a training well: one complete checkpoint; a second one ends it at once."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hw2.errors import Interrupted
from hw2.machines import signals
from hw2.runs import checkpoints
from tests.training.compare import assert_same_run, last

ROOT = Path(__file__).parents[2]


def handlers():
    return [signal.getsignal(signum) for signum in signals.CAUGHT]


@pytest.mark.parametrize(
    ("signum", "code"),
    [
        (signal.SIGTERM, 143),
        (signal.SIGINT, 130),
        pytest.param(signal.SIGHUP, 129, marks=pytest.mark.fault(89)),
        pytest.param(signal.SIGUSR1, 138, marks=pytest.mark.fault(158)),
    ],
)
@pytest.mark.fault(57)
@pytest.mark.fault(58)
def test_a_signal_in_a_step_saves_that_step_and_handlers_come_back(stop, tmp_path, signum, code):
    before = handlers()
    stopped = stop(tmp_path, 3, signum=signum)
    assert stopped.exit_code == code
    assert str(stopped) == (f"stopped by {signum.name} at step 3; rerun the command to resume")
    assert handlers() == before
    assert [path.name for path in checkpoints.listing(tmp_path / "checkpoints")] == [
        "step-00000003"
    ]


@pytest.mark.fault(57)
def test_a_signal_in_a_save_lets_it_end(train, stop, tmp_path, monkeypatch):
    plain = checkpoints.disk.write
    calls = []

    def write(path, data):
        calls.append(path.name)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.disk, "write", write)
        stop(tmp_path / "run", -1)
    assert calls == ["tensors.safetensors", "state.json", "manifest.json"]
    name, _, state = last(tmp_path / "run")
    assert (name, state["unfinished"]) == ("step-00000008", None)
    train(tmp_path / "run")
    train(tmp_path / "whole")
    assert_same_run(tmp_path / "run", tmp_path / "whole")


@pytest.mark.fault(57)
def test_a_signal_while_the_graph_is_traced_or_before_is_not_lost(train, tmp_path, monkeypatch):
    from hw2.jobs import resume
    from hw2.training.learner import Learner

    def sends(function):
        def call(*inputs, **options):
            os.kill(os.getpid(), signal.SIGTERM)
            return function(*inputs, **options)

        return call

    for owner, name, step in [
        (Learner, "_replica_step", 1),  # in the trace of the first step
        (resume, "resume", 0),  # when the model has just been built
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, sends(getattr(owner, name)))
            with pytest.raises(Interrupted):
                train(tmp_path / name)
        [path] = checkpoints.listing(tmp_path / name / "checkpoints")
        assert path.name == f"step-{step:08d}"
        train(tmp_path / name)
    train(tmp_path / "whole")
    for name in ("_replica_step", "resume"):
        assert_same_run(tmp_path / name, tmp_path / "whole")


def test_a_signal_before_anything_is_made_leaves_at_once(train, tmp_path, monkeypatch):
    from hw2.jobs import data as dataset

    def read(*inputs):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    monkeypatch.setattr(dataset, "read_examples", read)
    with pytest.raises(Interrupted) as raised:
        train(tmp_path / "run")
    assert raised.value.exit_code == 143
    assert not (tmp_path / "run").exists()


def test_a_signal_once_all_is_saved_leaves_at_once(train, tmp_path, monkeypatch):
    from hw2.jobs import outcome

    def conclude(*inputs):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    monkeypatch.setattr(outcome, "conclude", conclude)
    with pytest.raises(Interrupted) as raised:
        train(tmp_path, "--max_steps=2")
    assert raised.value.exit_code == 130
    assert last(tmp_path)[0] == "step-00000002"


@pytest.mark.fault(57)
def test_a_second_signal_leaves_at_once_even_from_a_kernel():
    """Python hears of no signal while TensorFlow computes; the thread that waits for them does."""
    code = """
import ctypes
from hw2.machines import signals
with signals.caught() as caught:
    caught.defer()
    print("ready", flush=True)
    while True:
        ctypes.CDLL(None).sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert (
        process.stderr.readline() == "SIGTERM: saving and stopping; send it again to exit at once\n"
    )
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 143
    assert err == "stopped at once by a second SIGTERM\n"


WAITS = """
import signal, time
from hw2.machines import signals
with signals.caught() as caught:
    caught.defer()
    print("ready", flush=True)
    while caught.received is None or not ENOUGH:
        time.sleep(0.01)
print(signal.Signals(caught.received).name)
"""


@contextlib.contextmanager
def waiting(enough="True"):
    """A process that waits for a signal, or until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITS.replace("ENOUGH", enough)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.fault(89)
def test_the_end_of_a_terminal_is_never_the_second_signal():
    """The shell and the kernel send one each, and a logout SIGTERM beside them."""
    with waiting(enough="False") as process:
        for signum in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
            process.send_signal(signum)
            assert process.stderr.readline().startswith(f"{signum.name}: saving and stopping")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143


@pytest.mark.fault(158)
@pytest.mark.parametrize("signum", [signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU])
def test_what_queues_send_before_the_end_saves(signum):
    """Slurm sends SIGUSR1 or SIGUSR2, and a limit of processor time SIGXCPU once a second."""
    with waiting(enough="False") as process:
        for sent in (signum, signum, signal.SIGTERM, signum):
            process.send_signal(sent)
            assert process.stderr.readline().startswith(f"{sent.name}: saving and stopping")
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143


@pytest.mark.fault(158)
def test_a_handler_of_the_programs_own_is_left_to_it():
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda signum, frame: seen.append(signum))
    try:
        with signals.caught() as caught:
            caught.defer()
            os.kill(os.getpid(), signal.SIGUSR1)
            caught.check()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


@pytest.mark.fault(89)
def test_a_signal_is_heard_though_nobody_reads_what_is_said_of_it():
    with waiting() as process:
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "SIGHUP\n"
        assert process.wait(30) == 0


@pytest.mark.fault(89)
def test_nohup_is_kept_to():
    ignoring = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as a child inherits it
    try:
        with waiting() as process:
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == "SIGTERM\n"
    finally:
        signal.signal(signal.SIGHUP, ignoring)


def test_off_the_main_thread_no_signal_is_caught():
    before, seen = handlers(), []

    def body():
        with signals.caught() as caught:
            caught.defer()
            seen.append(handlers() == before)
            caught.check()

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [True]


def test_what_was_caught_outside_is_caught_again():
    received = []
    before = signal.signal(signal.SIGTERM, lambda signum, frame: received.append(signum))
    try:
        with contextlib.suppress(Interrupted), signals.caught() as caught:
            caught.defer()
            os.kill(os.getpid(), signal.SIGTERM)
            received.append("waits")
            caught.raise_at_once()
            received.append("never")
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == ["waits", signal.SIGTERM]
