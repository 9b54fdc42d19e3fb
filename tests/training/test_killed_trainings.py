"""Trainings that are killed within a save; tests/runs/test_killed_saves.py has the saves alone."""

import copy
import shutil
import signal
import types
from pathlib import Path

import pytest

from hw2.runs import checkpoints
from hw2.training.saving import Saver
from hw2.training.step import Steps
from tests.runs import moments
from tests.training.compare import assert_same_run, last, learned

BATCHES = 23  # of an evaluation


class Killed(BaseException):
    """What nothing catches or tidies up after, but for the lock and the terminal."""


@pytest.fixture
def stop_in_evaluation(stop, monkeypatch):
    """Trains until a signal comes within the evaluation of a step, and saves that step."""

    def call(folder, step, *flags):
        plain, calls = Steps.check, []

        def check(self):
            calls.append(self)
            if len(calls) == step + (step // 8 - 1) * BATCHES + 5:
                signal.raise_signal(signal.SIGTERM)
            plain(self)

        with monkeypatch.context() as patch:
            patch.setattr(Steps, "check", check)
            stop(folder, -1, *flags)
        name, _, state = last(folder)
        assert name == f"step-{step:08d}"
        assert state["unfinished"]

    return call


@pytest.mark.fault(120)
def test_killed_twice_while_the_only_checkpoint_is_written_again_nothing_is_lost(
    train, stop_in_evaluation, tmp_path, monkeypatch, capsys
):
    """First when the step is logged and the new one not yet written, then between two renames."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    stop_in_evaluation(cut, 8, "--max_steps=16")

    def at_once(*arguments):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", at_once)
        with pytest.raises(Killed):
            train(cut, "--max_steps=16")
    assert learned(cut)[-1][0] == "8"
    rename = Path.rename

    def killed(self, target):
        if Path(target).name == "step-00000008":
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(Killed):
            train(cut, "--max_steps=16")
    assert not (cut / "checkpoints" / "step-00000008").exists()
    assert checkpoints.newest(cut / "checkpoints").step == 8  # under another name
    capsys.readouterr()
    train(cut, "--max_steps=16")
    assert "resuming from step 8 of " in capsys.readouterr().err
    train(whole, "--max_steps=16")
    assert_same_run(cut, whole)
    assert not list((cut / "checkpoints").glob(".*"))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.fault(120)
@pytest.mark.parametrize(
    ("step", "again"), [(8, False), (8, True), (16, False), (24, False), (24, True)]
)
def test_killed_at_any_system_call_of_a_save_a_training_ends_as_undisturbed(
    train, stop_in_evaluation, tmp_path, monkeypatch, step, again
):
    """The first, the second, one of several, and the first and one of several once more."""
    flags = [f"--max_steps={step + 8}", "--keep_checkpoints=2"]
    whole, run, left = tmp_path / "whole", tmp_path / "run", []
    train(whole, *flags)
    if again:
        stop_in_evaluation(run, step, *flags)
    plain = Saver._save

    def save(self, now, *, unfinished):
        if now.step == step:
            values = {name: variable.numpy() for name, variable in self._variables.items()}
            state = self._state(now, unfinished)
            fork = copy.copy(self)  # saves as this does, without TensorFlow
            fork._folder = tmp_path / "fork" / "checkpoints"
            fork._state = lambda *arguments: state
            fork._variables = {
                name: types.SimpleNamespace(numpy=lambda value=value: value)
                for name, value in values.items()
            }
            shutil.copytree(run, tmp_path / "fork", symlinks=True)
            left.extend(
                moments.left_by(
                    lambda: plain(fork, now, unfinished=unfinished),
                    tmp_path / "fork",
                    tmp_path / "left",
                )
            )
        plain(self, now, unfinished=unfinished)

    with monkeypatch.context() as patch:
        patch.setattr(Saver, "_save", save)
        train(run, *flags)
    assert_same_run(run, whole)
    assert len(left) > 10
    links = sorted(path.name for path in (whole / "checkpoints").iterdir())
    for moment in left:
        train(moment, *flags)
        assert_same_run(moment, whole)
        assert sorted(path.name for path in (moment / "checkpoints").iterdir()) == links
