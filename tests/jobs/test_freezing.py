"""Frozen variables: which they are, that training leaves them alone, and when it ends."""

import numpy as np
import pytest

from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import RunError, UsageError
from hw2.jobs import spec
from hw2.models import MODELS
from hw2.runs import checkpoints
from hw2.training.variables import named_variables
from tests.training.compare import assert_same_run
from tests.training.tiny import tiny

NORM = "stages/conv/stages/conv1/norm"


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny)


def tensors(folder, step):
    return checkpoints.at(folder / "checkpoints", step).tensors()


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--freeze"], "true"),  # as flagfiles had it while it was a switch
        (["--nofreeze"], "false"),
        (["--freeze=True"], "true"),
        (["--freeze=false"], "false"),
        (["--freeze=conv"], "conv"),
        ([], "false"),
    ],
)
def test_a_pattern_may_still_be_given_as_a_switch(words, value):
    assert settings.parse(["train.py", *words]).freeze == value


def test_python_may_give_a_switch_too():
    assert Config(freeze=True).freeze == "true"
    assert Config(freeze=False) == Config()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--freeze=("], "--freeze must be true, false or a regular expression"),
        (["--thaw_epoch=1"], "--thaw_epoch must come with --freeze"),
    ],
)
def test_what_cannot_be_is_refused(flags, words):
    with pytest.raises(UsageError, match=words):
        settings.parse(["train.py", *flags])


@pytest.mark.parametrize(
    ("pattern", "what"), [("cnov", "no variable"), ("", "every variable"), (".", "every variable")]
)
def test_nothing_or_everything_is_told_with_the_names_there_are(pattern, what):
    config = Config(model="tiny", image_size=8, short_side=8, crop_size=8, freeze=pattern)
    if not pattern:  # is no freezing at all
        assert spec.check_model(config) is None
        return
    with pytest.raises(UsageError) as told:
        spec.check_model(config)
    assert str(told.value) == (
        f"--freeze must match a part of tiny, got {pattern!r}, which matches {what}; "
        "there are conv/conv1/conv, conv/conv1/norm, head"
    )


def test_the_base_that_its_model_hides_cannot_thaw():
    config = Config(model="inception_resnet_v2", freeze=True, thaw_epoch=1)
    with pytest.raises(UsageError, match="--thaw_epoch must go with --freeze=base"):
        spec.check_model(config)


def test_models_shows_what_is_frozen(command, capsys):
    assert command("models", "resnet18", "--freeze=stem|stage[1-4]/block1", "--num_classes=5") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("  frozen: stem/conv1, stem/norm1, stage1/block1/conv1, stage1/block1/")
    assert last.endswith(" of 11,179,077 parameters)")
    assert command("models", "lenet5", "--freeze", "--num_classes=5") == 0
    assert "frozen: conv1" in capsys.readouterr().out.splitlines()[-1]


THAWING = ["--overfit_batches=4", "--thaw_epoch=2", "--freeze=conv", "--max_steps=12"]  # step 8


def test_frozen_layers_thaw_with_a_fresh_state_and_resume_bit_for_bit(train, stop, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(whole, *THAWING, mirrored=True)
    for step in (3, 9):
        stop(cut, step, *THAWING, mirrored=True)
    before, first = (tensors(cut, step) for step in (8, 9))
    train(cut, *THAWING, mirrored=True)
    assert_same_run(whole, cut)
    start = named_variables(tiny((8, 8, 1), 10, seed=0))
    w, b = "stages/conv/stages/conv1/conv/w", "stages/head/b"
    np.testing.assert_array_equal(before[f"model/{w}"], start[w])
    assert not np.any(before[f"optimizer/mean/{w}"])
    assert np.any(before[f"optimizer/mean/{b}"])
    # The first step of Adam has the size of the rate, 0.01, unless its count is not the weights'.
    change = np.abs(first[f"model/{w}"] - before[f"model/{w}"])
    assert change.max() == pytest.approx(0.01, rel=1e-3)
    for name in ("mean", "variance"):  # of a frozen batch norm, even when it has thawed
        end = tensors(cut, 12)[f"model/{NORM}/{name}"]
        np.testing.assert_array_equal(end, start[f"{NORM}/{name}"])
    assert np.any(tensors(cut, 12)[f"model/{NORM}/offset"])


def test_what_is_frozen_never_changes_and_has_no_slots(train, tmp_path):
    train(tmp_path / "run", "--freeze=conv", "--max_steps=3")
    last = checkpoints.newest(tmp_path / "run" / "checkpoints")
    found = last.tensors()
    slots = {name for name in found if name.startswith("optimizer/mean")}
    assert slots == {"optimizer/mean/stages/head/w", "optimizer/mean/stages/head/b"}
    new = spec.build_model(last.state["identity"])
    for name, variable in named_variables(new).items():
        for group in ("model", "ema"):
            same = np.array_equal(found[f"{group}/{name}"], variable)
            assert same == name.startswith("stages/conv"), (group, name)
    with pytest.raises(RunError, match="freeze was 'conv', is None"):
        train(tmp_path / "run", "--max_steps=4")
