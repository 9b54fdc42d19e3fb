import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hw2.commands import launch
from hw2.errors import DataError, MachineError, NotFinite, RunError, UsageError
from hw2.terminal import noise

ROOT = Path(__file__).parents[2]
# Replaces the import of TensorFlow, which takes seconds and is not what these tests are about.
NO_TENSORFLOW = (
    "from hw2.commands import launch; from hw2.terminal import noise; "
    "noise.quiet_tensorflow = lambda: None\n"
)


@pytest.fixture
def call(monkeypatch):
    """Calls `launch.run(main)` with a command line; returns the exit code."""
    monkeypatch.setattr(noise, "quiet_tensorflow", lambda: None)

    def call(main, *arguments):
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        with pytest.raises(SystemExit) as stop:
            launch.run(main)
        return stop.value.code

    return call


def python(code, *arguments, path=ROOT, **options):
    options = {"stdout": subprocess.PIPE, "check": False} | options
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{ROOT}", "TF_CPP_MIN_LOG_LEVEL": "0"},
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def fails_with(fault):
    def main(config):
        raise fault

    return main


def test_main_gets_the_config(call, capsys):
    assert call(lambda config: print(config.seed), "--seed=4") == 0
    assert capsys.readouterr() == ("4\n", "")


@pytest.mark.parametrize(
    ("fault", "code"),
    [(UsageError, 1), (DataError, 3), (RunError, 4), (NotFinite, 5), (MachineError, 6)],
)
def test_a_fault_is_one_line_and_its_exit_code(call, capsys, fault, code):
    main = fails_with(fault("bad picture in a\nb.png - empty; remove it"))
    assert call(main) == code
    assert capsys.readouterr() == ("", "error: bad picture in a\\nb.png - empty; remove it\n")


def test_debug_adds_the_traceback(call, capsys):
    assert call(fails_with(DataError("no")), "--debug") == 3
    err = capsys.readouterr().err
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("\nerror: no\n")


def test_a_mistyped_flag_stops_before_main(call, capsys):
    assert call(fails_with(AssertionError("main was called")), "--sed=1") == 1
    message = "unknown flag in the command line - there is no --sed; did you mean --seed?"
    assert capsys.readouterr() == ("", f"error: {message}\n")


def test_ctrl_c_exits_with_130(call, capsys):
    assert call(fails_with(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGHUP, 129, marks=pytest.mark.fault(89))],
)
def test_a_signal_has_its_exit_code_and_what_was_caught_before_is_again(call, capsys, signum, code):
    before = signal.getsignal(signum)
    assert call(lambda config: os.kill(os.getpid(), signum)) == code
    assert capsys.readouterr() == ("", f"stopped by {signum.name}\n")
    assert signal.getsignal(signum) == before


def test_other_exceptions_stay_as_they_are(call, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(ZeroDivisionError):
        launch.run(lambda config: 1 / 0)
    assert call(lambda config: sys.exit(143)) == 143


@pytest.mark.parametrize(
    "code",
    [
        "launch.run(lambda config: print('x' * 100_000))",
        "launch.run(lambda config: print('x'))",  # felt only when flushed
        "import sys; sys.argv.append('--help'); launch.run(print)",
    ],
)
@pytest.mark.fault(72)
def test_a_closed_pipe_is_quiet(code):
    reader, writer = os.pipe()
    os.close(reader)
    done = python(NO_TENSORFLOW + code, stdout=writer)
    os.close(writer)
    assert (done.stderr, done.returncode) == ("", 141)


def test_tensorflow_starts_without_a_word():
    done = python("from hw2.terminal import noise; noise.quiet_tensorflow()")
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "W0000 00:00:1.2 3 x.cc:4] kept\nE0000 00:00:1.2 3 x.cc:4] cuInit: X (999)\nkept\n"),
        ("raise ImportError('broken')", None),
    ],
)
def test_only_noise_is_dropped_and_nothing_when_the_import_fails(tmp_path, body, expected):
    lines = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1.2 3 port.cc:4] oneDNN custom operations are on.
To enable the following instructions: AVX2, rebuild TensorFlow.
E0000 00:00:1.2 3 x.cc:4] failed call to cuInit: UNKNOWN ERROR (303)
W0000 00:00:1.2 3 x.cc:4] kept
E0000 00:00:1.2 3 x.cc:4] cuInit: X (999)
"""
    (tmp_path / "tensorflow.py").write_text(
        f"import os, sys, types\nos.write(2, {lines.encode()!r})\n"
        f"print('kept', file=sys.stderr)\n{body}\n"
        "config = types.SimpleNamespace(list_physical_devices=list)\n"
    )
    done = python("from hw2.terminal import noise; noise.quiet_tensorflow()", path=tmp_path)
    if expected is None:
        assert done.stderr.startswith(lines + "kept\nTraceback (most recent call last):\n")
        assert done.stderr.endswith("\nImportError: broken\n")
    else:
        assert done.stderr == expected


@pytest.mark.parametrize("script", ["train.py", "multi_gpu_train.py", "eval.py"])
def test_the_scripts_start_and_refuse(script):
    done = subprocess.run(
        [sys.executable, ROOT / script, "--batch_size=0"],
        capture_output=True,
        text=True,
        check=False,
    )
    message = "bad value in the command line - --batch_size must be at least 1, got 0; see --help"
    assert (done.stdout, done.stderr, done.returncode) == ("", f"error: {message}\n", 1)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "bad value in TF_CONFIG - it is not JSON"),
        (
            '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 5}}',
            "the task's index must be in [0, 2), one for each worker, got 5",
        ),
    ],
)
@pytest.mark.fault(64)
def test_a_bad_tf_config_stops_before_tensorflow(call, monkeypatch, capsys, value, words):
    monkeypatch.setenv("TF_CONFIG", value)
    monkeypatch.setattr(noise, "quiet_tensorflow", pytest.fail)
    monkeypatch.setattr(sys, "argv", ["multi_gpu_train.py"])
    with pytest.raises(SystemExit) as stop:
        launch.run(pytest.fail, machines=True)
    assert stop.value.code == 1
    assert words in capsys.readouterr().err
