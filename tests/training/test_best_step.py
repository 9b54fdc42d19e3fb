"""Which step a run calls its best: one that has a checkpoint, and a good one."""

import json
import os
import shutil

import numpy as np
import pytest

from hw2.errors import RunError
from hw2.jobs import hooks as jobs_hooks
from hw2.jobs import model
from hw2.runs import checkpoints
from hw2.runs.folder import RunFolder
from hw2.training.hooks import Evaluation
from hw2.training.loop import Run
from hw2.training.metrics import Scores
from hw2.training.plateau import Plateau
from tests.training.compare import last

TOP1 = {8: 0.5, 16: 0.9, 24: 0.8, 32: 0.7, 40: 0.6}


@pytest.fixture
def scripted(monkeypatch):
    """Evaluations score what `TOP1` says, from a step on."""

    def begin(step):
        values = [TOP1[at] for at in sorted(TOP1) if at >= step]

        def score(batches, k, check=None, keep=None):
            if keep:
                keep(np.array([0, 1]), np.eye(2, dtype=np.float32))
            return scored(values.pop(0) if values else 0.1)

        monkeypatch.setattr(jobs_hooks, "scorer", lambda *arguments: score)

    return begin


def refuse(monkeypatch, *steps):
    write = checkpoints.write

    def refused(folder, step, *rest):
        if step in steps:
            raise RunError(f"checkpoint not written in step {step}")
        return write(folder, step, *rest)

    monkeypatch.setattr(checkpoints, "write", refused)


@pytest.mark.fault(121)
@pytest.mark.fault(108)
def test_only_a_saved_step_is_the_best_and_only_while_it_is_good(
    train, scripted, tmp_path, monkeypatch, capsys
):
    run = tmp_path / "run"
    flags = ["--on_save_error=continue", "--save_checkpoint_steps=8"]
    scripted(8)
    with monkeypatch.context() as patch:
        refuse(patch, 16)
        with pytest.warns(UserWarning, match="in step 16; this training tries again"):
            train(run, "--max_steps=32", *flags)
    result = json.loads(capsys.readouterr().out)
    assert (result["best_step"], result["val_top1"]) == (24, 0.8)
    assert os.readlink(run / "checkpoints" / "best") == "step-00000024"
    assert model.choose(RunFolder(run), "best")[0].step == 24
    plateau = last(run)[2]["plateau"]
    assert (plateau["best"], plateau["without_gain"]) == (0.9, 2)  # the rule has seen step 16

    cut = tmp_path / "cut"
    shutil.copytree(run, cut, symlinks=True)
    (run / "checkpoints" / "step-00000024" / "tensors.safetensors").write_bytes(b"")
    scripted(40)
    words = (
        "passed over the best: .*step-00000024 - tensors.safetensors has changed since it was "
        "written; the next best is step 32, with validation top-1 0.7000"
    )
    with pytest.warns(UserWarning, match=words):
        train(run, "--max_steps=40", *flags)
    result = json.loads(capsys.readouterr().out)
    assert (result["best_step"], result["val_top1"], result["step"]) == (32, 0.7, 40)
    assert os.readlink(run / "checkpoints" / "best") == "step-00000032"
    assert (run / "checkpoints" / "step-00000024.corrupt").is_dir()

    scripted(40)
    train(cut, "--max_steps=40", *flags)  # a good one stays the best
    assert json.loads(capsys.readouterr().out)["best_step"] == 24


def scored(top1):
    return Scores(top1=top1, topk=1.0, k=1, loss=1.0, num_examples=10)


def evaluation(scores):
    plateau = Plateau(halve_after=9, stop_after=99)
    values = iter(scores)
    return Evaluation(lambda: scored(next(values)), plateau, None), plateau


@pytest.mark.fault(121)
@pytest.mark.parametrize(
    ("scores", "refused", "best"),
    [
        ([0.9, 0.5, 0.4], [1], [-1, 2, 2]),  # the first
        ([0.5, 0.7, 0.6], [2, 3], [1, 1, 1]),  # all from the best on
        ([0.5, 0.7, 0.6, 0.65], [2], [1, 1, 3, 4]),  # lower than what was lost, and still a gain
        ([0.5, 0.4, 0.6], [2], [1, 1, 3]),  # one that was no gain
    ],
)
def test_a_refused_step_is_never_the_best(scores, refused, best):
    hook, plateau = evaluation(scores)
    found = []
    for step in range(1, len(scores) + 1):
        hook(Run(step, 100))
        if step in refused:
            hook.forget(step)
        found.append(plateau.best_step)
        assert (hook.best is None) == (plateau.best_step == -1)
        assert hook.best is None or hook.best.top1 == scores[plateau.best_step - 1]
    assert found == best
    assert plateau.best == max(scores)
