"""A run by functions of the user's: recorded, evaluated, exported by them, or a line says why."""

import json
import sys
import warnings

import pytest

from hw2.config import settings
from hw2.errors import UsageError
from hw2.export import build
from hw2.jobs import evaluate
from hw2.ops import own
from hw2.runs import checkpoints
from tests.own_module import TEXT


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Names of the user's functions, in the order in which they are called."""
    (tmp_path / "mine_of_run.py").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    found = []
    called = own._called
    monkeypatch.setattr(own, "_called", lambda name, *a: found.append(name) or called(name, *a))
    yield found
    sys.modules.pop("mine_of_run", None)


def test_a_run_is_trained_evaluated_and_exported_by_a_convolution(
    train, calls, tmp_path, monkeypatch, capsys
):
    train(tmp_path / "run", "--max_steps=2", "--conv_algorithm=mine_of_run:conv2d")
    assert set(calls) == {"mine_of_run:conv2d"}
    state = checkpoints.newest(tmp_path / "run" / "checkpoints").state
    assert state["settings"]["conv_algorithm"] == "mine_of_run:conv2d"
    assert len(state["own_functions"]["mine_of_run:conv2d"]) == 64
    assert "--conv_algorithm=mine_of_run:conv2d\n" in (tmp_path / "run" / "flags.cfg").read_text()

    words = ["eval.py", f"--checkpoint_dir={tmp_path / 'run'}", "--num_examples=20"]
    calls.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate.evaluate(settings.parse(words))
    assert set(calls) == {"mine_of_run:conv2d"}
    calls.clear()
    evaluate.evaluate(settings.parse([*words, "--conv_algorithm=im2col"]))
    assert not calls

    config = settings.parse(["export.py", "--format=litert", "--num_examples=20"])
    build.export(str(tmp_path / "run"), config)
    assert set(calls) == {"mine_of_run:conv2d"}
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["checked"] == 100

    (tmp_path / "mine_of_run.py").write_text(f"{TEXT}\n# changed\n")
    with pytest.warns(
        UserWarning, match=r"mine_of_run.py has changed since .*; results by mine_of_run:conv2d"
    ):
        evaluate.evaluate(settings.parse(words))

    (tmp_path / "mine_of_run.py").unlink()
    sys.modules.pop("mine_of_run")
    for start in (
        lambda: evaluate.evaluate(settings.parse(words)),
        lambda: build.export(str(tmp_path / "run"), settings.parse([*words[:1], "--overwrite"])),
    ):
        with pytest.raises(
            UsageError, match=r"no module mine_of_run for .*mine_of_run:conv2d - it is neither"
        ):
            start()


def test_a_run_is_trained_and_evaluated_by_a_product(train, calls, tmp_path):
    train(tmp_path / "run", "--max_steps=2", "--product=mine_of_run:matmul")
    assert set(calls) == {"mine_of_run:matmul"}
    calls.clear()
    words = ["eval.py", f"--checkpoint_dir={tmp_path / 'run'}", "--num_examples=20"]
    evaluate.evaluate(settings.parse(words))
    assert set(calls) == {"mine_of_run:matmul"}


def test_mistakes_are_told_before_a_run_folder_is_made(train, calls, tmp_path):
    for flag, said in (
        (
            "--conv_algorithm=mine_of_run:another_shape",
            "mine_of_run:another_shape must return the shape",
        ),
        ("--conv_algorithm=mine_of_run:absent", "no function absent in mine_of_run.py"),
        ("--product=absent:matmul", "no module absent for the product"),
        ("--conv_algorithm=absent", r"--conv_algorithm must be auto, .* or MODULE:FUNCTION, got"),
        ("--product=matmul", "--product must be MODULE:FUNCTION, got 'matmul'"),
    ):
        with pytest.raises(UsageError, match=said):
            train(tmp_path / "run", flag)
    with pytest.raises(UsageError, match="--product must come with --conv_algorithm=im2col"):
        train(tmp_path / "run", "--product=mine_of_run:matmul", "--conv_algorithm=native")
    assert not (tmp_path / "run").exists()
