"""Full disks, other programs, kills: what the world does to a training."""

import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import filelock
import pytest

from hw2.errors import RunError
from hw2.ops.direct import cache
from hw2.runs import checkpoints, lock
from tests.training.compare import assert_same_run, last, learned

ROOT = Path(__file__).parents[2]
TINY = [sys.executable, "tests/training/tiny.py"]


def start(folder, *flags, **options):
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": "/proc"}  # where none can write
    environ["HW2_CACHE_DIR"] = str(cache.folder())  # the kernel, as in this process
    options = {"env": environ, "cwd": ROOT} | options
    return subprocess.Popen(
        [*TINY, f"--log_path={folder}", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 200 KB; a checkpoint of these tests has 12."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=200k", "none", folder],
            check=False,
            stderr=subprocess.DEVNULL,
        ).returncode
    )
    if not mounted:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder):
    """Takes all room, and gives it back when the block ends."""
    file = folder / "other"
    with file.open("wb", buffering=0) as other, contextlib.suppress(OSError):
        while True:
            other.write(b"x" * 512)
    return file


@pytest.mark.fault(47)
def test_a_full_disk_stops_with_words_and_the_checkpoint_before_whole(train, small_disk, tmp_path):
    run = small_disk / "run"

    def fills(run_):
        if run_.step == 9:
            fill(small_disk)

    words = (
        r"cannot write .*metrics.csv - no space left on device|not written in .* - No space left"
    )
    with pytest.raises(RunError, match=words) as raised:
        train(run, hooks=[fills])
    assert raised.value.exit_code == 4
    assert checkpoints.newest(run / "checkpoints").step == 8
    assert list((run / "checkpoints").glob(".*")) == []
    (small_disk / "other").unlink()
    train(run)
    train(tmp_path / "whole")
    assert_same_run(run, tmp_path / "whole")


@pytest.mark.fault(47)
def test_a_full_disk_is_waited_for_when_told_so(train, small_disk, tmp_path):
    run, told = small_disk / "run", []

    def fills(run_):
        if run_.step == 9:
            fill(small_disk)
        if run_.step == 23:
            told.append([p.name for p in checkpoints.listing(run / "checkpoints")])
            (small_disk / "other").unlink()

    with pytest.warns(UserWarning, match="tries again") as warned:
        train(run, "--on_save_error=continue", hooks=[fills])
    words = "\n".join(str(warning.message) for warning in warned)
    assert "No space left on device; the one before is whole: keep 2 MB free" in words
    assert "this training tries again at its next save" in words
    assert told == [["step-00000008"]]
    train(tmp_path / "whole", "--on_save_error=continue")
    assert_same_run(run, tmp_path / "whole")


@pytest.mark.fault(47)
def test_a_limit_of_file_sizes_is_a_full_disk_too(train, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limits(run):
        if run.step == 9:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    try:
        with pytest.raises(RunError, match=r"not written in .*step-00000016 - File too large"):
            train(tmp_path, hooks=[limits])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert checkpoints.newest(tmp_path / "checkpoints").step == 8
    assert list((tmp_path / "checkpoints").glob(".*")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
@pytest.mark.fault(47)
def test_a_folder_that_cannot_be_written(train, small_disk):
    run = small_disk / "run"
    train(run, "--max_steps=2")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    for flags in ([], ["--fresh"]):
        with pytest.raises(RunError, match=r"cannot write .* - read-only file system; make room"):
            train(run, "--max_steps=4", *flags)
    with pytest.raises(RunError, match="read-only file system"):
        train(small_disk / "other", "--max_steps=4")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


@pytest.mark.fault(72)
def test_paths_that_are_no_folders(train, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"cannot write .*file - file exists"):
        train(tmp_path / "file")
    with pytest.raises(RunError, match=r"cannot write .*run - not a directory"):
        train(tmp_path / "file" / "run")
    train(tmp_path / "new [1]*" / "deep", "--max_steps=1")  # parents are made
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.fault(53)
def test_one_training_at_a_time(train, tmp_path):
    train(tmp_path, "--max_steps=2")
    code = f"""
from pathlib import Path
from hw2.runs import lock
with lock.held(Path({str(tmp_path)!r})):
    print("held", flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(RunError, match=f"locked by pid {process.pid} on host ") as raised:
        train(tmp_path, "--max_steps=4")
    assert raised.value.exit_code == 4
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    process.kill()
    process.communicate()
    assert (tmp_path / lock.HOLDER).exists()  # what the dead leave behind
    train(tmp_path, "--max_steps=4")
    assert not (tmp_path / lock.HOLDER).exists()


@pytest.mark.fault(104)
def test_the_lock_needs_nothing_of_unix(tmp_path, monkeypatch):
    with lock.held(tmp_path), pytest.raises(RunError, match="locked by pid"), lock.held(tmp_path):
        pass
    with lock.held(tmp_path):
        pass
    (tmp_path / lock.HOLDER).write_text("{")
    with lock.held(tmp_path):
        pass

    def refuse(self):
        raise NotImplementedError("no locks on this disk")

    monkeypatch.setattr(filelock.FileLock, "_acquire", refuse)
    with pytest.warns(UserWarning, match=r"no lock on .*: no locks on this disk"):  # noqa: SIM117
        with lock.held(tmp_path):
            assert (tmp_path / lock.HOLDER).read_text() != "{"


@pytest.mark.fault(104)
def test_no_module_asks_for_what_windows_has_not():
    lines = [
        f"{path}: {line}"
        for path in (ROOT / "hw2").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if re.match(r"(import|from) (fcntl|termios|pwd|grp|resource)\b", line)
    ]
    assert lines == []


@pytest.mark.fault(46)
def test_scripts_killed_within_a_save_and_stopped_by_a_signal(train, tmp_path):
    """`make soak` kills 200 times, and at other moments too."""
    flags = ["--max_steps=3000", "--save_checkpoint_steps=20", "--log_frequency=20"]
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    process = start(cut, *flags)
    wait(process, cut, 20)
    while not list((cut / "checkpoints").glob(".step-*.partial")):
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    process = start(cut, *flags)
    wait(process, cut, last_step(cut) + 40)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "resuming from step" in err
    assert "stopped by SIGTERM at step " in err
    assert "Traceback" not in err
    step = last_step(cut)
    short = [f"--max_steps={step + 20}", *flags[1:]]
    train(cut, *short)
    train(whole, *short)
    assert_same_run(cut, whole)
    assert list((cut / "checkpoints").glob(".*")) == []


def wait(process, folder, step):
    while last_step(folder) < step:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def last_step(folder):
    paths = checkpoints.listing(folder / "checkpoints")
    return int(paths[-1].name[5:]) if paths else 0


@pytest.mark.slow  # TensorFlow itself waits ten seconds for memory
@pytest.mark.fault(75)
def test_a_machine_in_need_is_told_of_in_words():
    """The address space is limited, then an operation asks for more."""
    code = """
import resource, sys
import tensorflow as tf
from hw2.machines import devices, failures
from hw2.errors import MachineError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, resource.RLIM_INFINITY))
try:
    with failures.check_device_errors():
        x = tf.ones([2**15, 2**15])
except MachineError as error:
    print(error)
    sys.exit(error.exit_code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 6, done.stderr
    assert done.stdout.startswith("out of memory - no room for shape[32768,32768]; lower")
    assert "lower --batch_size, or raise --accumulate" in done.stdout


@pytest.mark.fault(71)
@pytest.mark.fault(76)
def test_without_tensorboard_locale_home_or_working_directory(tmp_path):
    """One training in the poorest surroundings that there are, and with kernels that are exact."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "tensorboard.py").write_text("raise ImportError('hidden')\n")
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        f"import os, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); "
        f"os.execv(sys.executable, [sys.executable, {str(ROOT / TINY[1])!r}, *sys.argv[1:]])"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
            f"--log_path={tmp_path / 'run'}",
            "--tensorboard",
            "--max_steps=2",
            "--deterministic",
            "--threads=1",
        ],
        env={
            "HW2_CACHE_DIR": str(cache.folder()),  # the kernel is built once
            "LC_ALL": "C",
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{tmp_path / 'hidden'}{os.pathsep}{ROOT}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "no TensorBoard here, so metrics.csv has the curves; pip install" in done.stderr
    assert json.loads(done.stdout)["step"] == 2
    assert len(learned(tmp_path / "run")) == 2
    environment = last(tmp_path / "run")[2]["environment"]
    assert (environment["deterministic"], environment["threads"]) == (True, 1)
