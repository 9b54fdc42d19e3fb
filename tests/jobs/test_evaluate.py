"""Scores of a run folder; tests/jobs/test_train.py has those of the script."""

import json
import math
import warnings

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from hw2.config import settings
from hw2.errors import DataError, RunError
from hw2.jobs import evaluate
from hw2.runs import checkpoints, disk
from hw2.training import metrics
from hw2.training.metrics import Scores


@pytest.mark.fault(54)
def test_evaluation_says_which_weights_and_each_class(train, tmp_path, capsys):
    train(tmp_path, "--max_steps=2")
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate.evaluate(settings.parse(["eval.py", f"--checkpoint_dir={tmp_path}"]))
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert "ema weights, validation: top-1" in err
    table = np.genfromtxt(tmp_path / "eval" / "per_class.csv", delimiter=",", names=True)
    assert table["pictures"].sum() == result["num_examples"] == 359
    assert table["right"].sum() / 359 == pytest.approx(result["top1"])
    assert table["top1"].mean() == pytest.approx(result["mean_class_top1"])
    found = checkpoints.newest(tmp_path / "checkpoints")
    raw = {name: v for name, v in found.tensors().items() if not name.startswith("ema/")}
    checkpoints.write(tmp_path / "checkpoints", 2, raw, found.state)
    with pytest.raises(RunError, match=r"no ema weights in .*; give --weights=raw"):
        evaluate.evaluate(settings.parse(["eval.py", f"--checkpoint_dir={tmp_path}"]))


@pytest.mark.fault(68)
def test_a_checkpoint_with_nan_is_refused_by_evaluation_too(train, tmp_path):
    train(tmp_path, "--max_steps=2")
    found = checkpoints.newest(tmp_path / "checkpoints")
    tensors = dict(found.tensors())
    name = "ema/stages/head/b"
    tensors[name] = np.full_like(tensors[name], math.nan)
    (found.path / "tensors.safetensors").write_bytes(save(tensors))
    manifest = json.loads((found.path / "manifest.json").read_text())
    manifest["tensors.safetensors"] = disk.sha256(found.path / "tensors.safetensors")
    (found.path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=f"{name} is not finite"):
        evaluate.evaluate(settings.parse(["eval.py", f"--checkpoint_dir={tmp_path}"]))


def test_eval_convolves_as_it_is_told(train, convolutions, tmp_path):
    train(tmp_path, "--max_steps=2")
    convolutions.clear()
    flags = [f"--checkpoint_dir={tmp_path}", "--num_examples=20"]
    evaluate.evaluate(settings.parse(["eval.py", *flags, "--conv_algorithm=native"]))
    assert set(convolutions) == {"native"}


def test_bad_pictures_are_counted_and_named(train, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(20):
            image = rng.integers(0, 100, (9, 9, 3)) + 100 * (name == "light")
            Image.fromarray(image.astype(np.uint8)).save(tmp_path / "data" / name / f"{i}.png")
    data, run = f"--train_data_path={tmp_path / 'data'}", tmp_path / "run"
    train(run, data, "--max_steps=2")
    (tmp_path / "data" / "dark" / "7.png").write_bytes(b"")
    capsys.readouterr()
    words = [f"--checkpoint_dir={run}", f"--test_data_path={tmp_path / 'data'}", "--allow_leak"]
    with pytest.raises(DataError, match="1 of 40 cannot be used"):
        evaluate.evaluate(settings.parse(["eval.py", *words]))
    words += ["--on_bad_file=skip", "--max_bad_fraction=0.1"]
    evaluate.evaluate(settings.parse(["eval.py", *words]))
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert (result["num_examples"], result["num_bad"]) == (39, 1)
    assert "on 39 pictures; bad ones, named in bad.csv and not counted: 1" in err
    text = (run / "eval" / "bad.csv").read_text()
    assert "dark/7.png,bad picture in " in text
    assert "7.png - empty" in text


@pytest.fixture
def waiting(train, tmp_path, monkeypatch, capsys):
    """Evaluates with `--norun_once`; returns the steps that were scored, in order.

    Its argument are functions, of which one is called at each wait; then the evaluation is ended.
    """
    run = tmp_path / "run"
    train(run, "--max_steps=1")
    first = checkpoints.newest(run / "checkpoints")

    def write(step, best_step):
        plateau = {**first.state["plateau"], "best_step": best_step}
        state = {**first.state, "step": step, "plateau": plateau}
        values = {name: value + step for name, value in first.tensors().items()}
        return checkpoints.write(run / "checkpoints", step, values, state)

    class Evaluator:
        skipped, trained_on, outputs, batches = (), 0, metrics.Outputs(), ()
        outputs.add(np.zeros(1, int), np.ones([1, 10], np.float32))

        def __call__(self, *arguments):
            return Scores(
                top1=0.5,
                topk=0.5,
                k=1,
                loss=1.0,
                num_examples=10,
                balanced_accuracy=0.5,
                macro_f1=0.5,
                by_class=((5, 10),) * 10,
            )

    monkeypatch.setattr(evaluate, "_evaluator", lambda *arguments: Evaluator())

    def call(events, *flags):
        left = list(events)

        def sleep(seconds):
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(evaluate.time, "sleep", sleep)
        capsys.readouterr()
        with pytest.raises(KeyboardInterrupt):
            evaluate.evaluate(
                settings.parse(["eval.py", f"--checkpoint_dir={run}", "--norun_once", *flags])
            )
        return [json.loads(line)["step"] for line in capsys.readouterr().out.splitlines()]

    return call, write


def nothing():
    """What happens between two looks at a folder that does not change."""


@pytest.mark.fault(109)
@pytest.mark.fault(110)
def test_waiting_scores_each_good_checkpoint_once_or_each_that_is_the_best(waiting):
    call, write = waiting

    def damaged():
        (write(2, 1).path / "state.json").write_text("{}")

    with pytest.warns(UserWarning, match="passed over: bad checkpoint in .*-00000002 - ") as told:
        steps = call([damaged, nothing, nothing, lambda: write(3, 1), nothing])
    assert steps == [1, 3]
    assert len(told) == 1
    # Step 2 stays damaged; it is none of the newest any more.
    steps = call([lambda: write(4, 3), nothing, lambda: write(5, 5)], "--checkpoint=best")
    assert steps == [1, 3, 5]
    write(6, 6)
    assert call([lambda: write(7, 6), lambda: write(7, 6)], "--checkpoint=last") == [6, 7]
    assert call([lambda: write(8, 6), nothing]) == [7, 8]  # each new one is the default
