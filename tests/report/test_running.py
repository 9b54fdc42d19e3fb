"""The page of a run while its training writes, and after it was killed."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hw2.config import settings
from hw2.jobs import model
from hw2.report import build
from hw2.runs import checkpoints
from hw2.runs import folder as run_folder
from tests import small

ROOT = Path(__file__).parents[2]
FLAGS = ["--train_data_path=digits", "--image_size=16", "--short_side=16", "--crop_size=16"]
FLAGS += ["--batch_size=32", "--max_steps=100000", "--log_frequency=1", "--keep_checkpoints=1"]
FLAGS += ["--save_checkpoint_steps=3", "--stop_after=1000000", "--halve_after=1000000"]


@pytest.fixture
def training(tmp_path):
    """A training that goes on for as long as the test does, and its run folder."""
    folder = tmp_path / "runs" / "digits"
    words = [sys.executable, "train.py", *small.FLAGS, *FLAGS, f"--log_path={folder}"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    yield process, folder
    process.kill()
    process.communicate()


def contents(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def wait_for(process, there):
    while not there():
        assert process.poll() is None, process.stderr.read().decode()
        time.sleep(0.02)


@pytest.mark.slow  # a training and four pages share two cores
def test_at_any_moment_there_is_a_page(training, report, capsys):
    process, folder = training
    few = ["--num_examples=40", "--batch_size=40"]
    wait_for(process, (folder / "flags.cfg").exists)
    page, early = report(folder, flags=few)
    assert "<h1>digits</h1>" in page.read_text()
    assert all("no c" in words for words in early["missing"])  # neither checkpoint nor curves
    wait_for(process, lambda: checkpoints.listing(folder / "checkpoints"))
    steps = set()
    for _ in range(3):  # one checkpoint is kept, and a few are written while one page is made
        page, result = report(folder, flags=few)
        assert result["missing"] == []
        text = page.read_text()
        steps.add(text.partition("checkpoint shown</dt><dd>")[2].partition("<")[0])
    assert len(steps) > 1
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = contents(folder)
    build.build([str(folder)], settings.parse(["report", *few]))
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["missing"] == []
    after = contents(folder)
    assert after.pop(folder / "report.html")
    assert after == before


def test_a_checkpoint_that_goes_while_it_is_read_gives_way_to_the_next(
    digits_run, tmp_path, monkeypatch
):
    folder = run_folder.RunFolder(tmp_path)
    [*_, last] = checkpoints.listing(digits_run / "checkpoints")
    state, tensors = checkpoints.read(last).state, checkpoints.read(last).tensors()
    checkpoints.write(folder.checkpoints, 6, tensors, state | {"step": 6})
    newest = checkpoints.newest

    def slow(*arguments, **options):
        found = newest(*arguments, **options)
        if found.step == 6:
            later = state | {"step": 8, "plateau": state["plateau"] | {"best_step": 8}}
            checkpoints.write(folder.checkpoints, 8, tensors, later)
            checkpoints.remove(found.path)
        return found

    monkeypatch.setattr(checkpoints, "newest", slow)
    checkpoint, _ = model.choose(folder, "last")
    assert checkpoint.step == 8
