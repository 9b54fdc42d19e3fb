"""What settings become that were left open, what runs keep, and what a start tells of them."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from hw2.config import advice, settings
from hw2.config.settings import Config
from hw2.errors import RunError, UsageError
from hw2.jobs import build, settled
from hw2.models import MODELS
from hw2.runs import checkpoints
from hw2.training.plateau import Plateau
from tests.training.compare import last

SGD = ["--optimizer=sgd", "--momentum=0.9"]
DECAYING = [*SGD, "--weight_decay=0.05", "--max_steps=8"]


def of(*flags):
    return settled.settled(settings.parse(["train.py", *flags]), None)


@pytest.mark.fault(113)
def test_the_penalty_is_that_of_the_model(monkeypatch):
    assert of().l2 == 1e-3  # the first report's network, in one dense layer
    assert of("--model=densenet_fine").l2 == 1e-4  # the second report's
    assert of("--model=resnet18", "--l2=0.25").l2 == 0.25
    monkeypatch.setitem(MODELS, "own", lambda image_shape, classes, *, seed, l2: None)
    assert of("--model=own").l2 == 0.0
    others = set(MODELS) - {"inception10", "densenet_fine", "tiny"}
    assert {of(f"--model={name}").l2 for name in others} == {0.0}


@pytest.mark.fault(113)
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "sgdw"])
def test_two_decays_are_told_of(optimizer):
    given = settings.parse(["train.py", f"--optimizer={optimizer}", "--weight_decay=0.05"])
    told = advice.notes(given, settled.settled(given, None))
    assert told == ["--l2=0.001 and --weight_decay=0.05: both shrink weights; 0 switches one off"]
    other = dataclasses.replace(given, model="resnet18")
    assert advice.notes(other, settled.settled(other, None)) == []


@pytest.mark.fault(131)
def test_adamw_decays_by_itself():
    assert of("--optimizer=adamw").weight_decay == 0.01
    assert of("--optimizer=adamw", "--weight_decay=0").weight_decay == 0
    assert {of(f"--optimizer={name}").weight_decay for name in ("adam", "sgd", "sgdw")} == {0}
    assert [of(f"--optimizer={n}").momentum for n in ("sgd", "sgdw", "rmsprop")] == [0.9, 0.9, 0]
    assert of("--optimizer=adam").epsilon == 1e-8
    assert of("--optimizer=rmsprop").epsilon == of("--optimizer=adagrad").epsilon == 1e-7


@pytest.mark.fault(115)
@pytest.mark.parametrize(
    ("flags", "halve", "stop"),
    [
        ([], 7, 15),
        (["--schedule=steps", "--rate_epochs=3"], 0, 0),
        (["--schedule=cosine"], 0, 0),
        (["--schedule=one_cycle"], 0, 0),
        (["--schedule=inverse_time", "--decay=0.1"], 0, 0),
        (["--schedule=cosine", "--halve_after=3", "--stop_after=5"], 3, 5),
        (["--halve_after=0", "--stop_after=0"], 0, 0),
    ],
)
def test_a_schedule_of_its_own_is_neither_halved_nor_stopped(flags, halve, stop):
    found = of(*flags)
    assert (found.halve_after, found.stop_after) == (halve, stop)
    asked = "--schedule=cosine" in flags and halve
    assert bool(advice.notes(settings.parse(["train.py", *flags]), found)) == bool(asked)


@pytest.mark.fault(115)
def test_0_switches_halving_and_stopping_off():
    plateau = Plateau(0, 0)
    for step in range(100):
        plateau.update(0.5, step)
    assert (plateau.without_gain, plateau.scale, plateau.exhausted) == (99, 1.0, False)


@pytest.mark.fault(118)
def test_the_schedule_of_the_fourth_report():
    config = of("--schedule=inverse_time", "--decay=0.5", "--learning_rate=0.1")
    rate = build.schedule(config, 1000, 100)
    assert [rate(step) for step in (0, 1, 2, 18)] == [0.1, 0.1 / 1.5, 0.05, 0.01]
    for flags in (["--schedule=inverse_time"], ["--decay=0.5"]):
        with pytest.raises(UsageError, match="--decay must come with"):
            settings.parse(["train.py", *flags])


@pytest.mark.fault(103)
def test_settings_without_effect_are_told_of():
    def told(*flags):
        given = settings.parse(["train.py", *flags])
        found = settled.settled(given, None)
        last_step = build.last_step(found, 1280)
        return [*advice.notes(given, found), *build.notes(found, 1280, last_step)]

    assert told("--epochs=3") == []
    assert told("--epochs=3", "--max_steps=50") == [
        "--max_steps=50 has no effect: --epochs says when training ends"
    ]
    assert told("--momentum=0.5") == ["--momentum=0.5 has no effect: it is of sgd, sgdw, rmsprop"]
    assert told("--momentum=0.5", "--optimizer=rmsprop") == []
    assert told("--epsilon=0.1", "--optimizer=lion") == [
        "--epsilon=0.1 has no effect: it is of adagrad, adam, adamw, rmsprop"
    ]
    [words] = told("--warmup_epochs=20", "--epochs=5")
    assert words == (
        "--warmup_epochs=20 are 200 steps, and training ends at step 50: the rate rises to "
        "0.00025 only"
    )
    assert told("--warmup_epochs=5", "--epochs=5") == []
    [words] = told("--schedule=steps", "--rate_epochs=2,6,9", "--epochs=6")
    assert words == "--rate_epochs=2,6,9: training ends at step 60, before the last 2 of them"
    [words] = told("--halve_after=20")
    assert words == "--halve_after=20 has no effect: --stop_after comes first"


@pytest.fixture(scope="module")
def formerly(tmp_path_factory):
    """Makes of a run with "sgdw" what the program wrote when its only SGD was that one."""

    def make(run):
        found = checkpoints.newest(run / "checkpoints")
        state = json.loads(json.dumps(found.state))
        state["identity"]["optimizer"] = "sgd"
        del state[settled.SGD_DECAY]
        checkpoints.write(run / "checkpoints", found.step, found.tensors(), state)
        flags = (run / "flags.cfg").read_text()
        (run / "flags.cfg").write_text(flags.replace("--optimizer=sgdw", "--optimizer=sgd"))

    return make


@pytest.mark.fault(114)
def test_a_run_begun_with_the_old_decay_keeps_it(train, stop, tmp_path, formerly, capsys):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(whole, *DECAYING, "--optimizer=sgdw", "--max_steps=12")
    stop(cut, 4, *DECAYING, "--optimizer=sgdw", "--max_steps=12")
    formerly(cut)
    capsys.readouterr()
    train(cut, *DECAYING)
    told = " ".join(capsys.readouterr().err.split())
    assert "decay of sgd was decoupled, and goes on so, as sgdw" in told
    state = last(cut)[2]
    assert (state["identity"]["optimizer"], state[settled.SGD_DECAY]) == ("sgdw", "weight")
    assert "--optimizer=sgdw\n" in (cut / "flags.cfg").read_text()
    train(cut, *DECAYING, "--max_steps=12")  # by the command it was begun with
    ours, theirs = (checkpoints.newest(run / "checkpoints").tensors() for run in (cut, whole))
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value, name)
    capsys.readouterr()
    train(tmp_path / "new", *DECAYING)
    assert "decoupled" not in capsys.readouterr().err
    state = last(tmp_path / "new")[2]
    assert (state["identity"]["optimizer"], state[settled.SGD_DECAY]) == ("sgd", "gradient")
    with pytest.raises(RunError, match="optimizer was 'sgd', is 'sgdw'"):
        train(tmp_path / "new", *DECAYING, "--optimizer=sgdw", "--max_steps=9")


@pytest.mark.fault(113)
@pytest.mark.fault(115)
@pytest.mark.fault(131)
def test_runs_begun_keep_their_defaults(train, tmp_path, capsys):
    run = tmp_path / "run"
    begun = ["--optimizer=adamw", "--l2=0.002", "--weight_decay=0", "--halve_after=5"]
    train(run, *begun, "--stop_after=20", "--max_steps=2")
    train(run, "--optimizer=adamw", "--max_steps=4")  # none of them given
    state = last(run)[2]
    assert (state["step"], state["identity"]["l2"], state["history"]) == (4, 0.002, [])
    found = {name: state["settings"][name] for name in ("weight_decay", "halve_after")}
    assert found == {"weight_decay": 0.0, "halve_after": 5}
    lines = (run / "flags.cfg").read_text().splitlines()
    assert {"--l2=0.002", "--weight_decay=0.0", "--halve_after=5", "--stop_after=20"} <= {*lines}


@pytest.mark.fault(119)
def test_a_cosine_on_resume_is_told_in_words(train, tmp_path):
    train(tmp_path / "run", "--max_steps=2")
    with pytest.warns(UserWarning, match="schedule was constant, is cosine") as told:
        train(tmp_path / "run", "--max_steps=4", "--schedule=cosine")
    assert "None" not in str(told[0].message)
    assert "last_step" not in str(told[0].message)
    assert "halve_after was 7, is 0" in str(told[0].message)


@pytest.mark.fault(112)
def test_what_differs_on_resume_is_named_by_its_flag(train, tmp_path):
    train(tmp_path / "with", *SGD, "--max_steps=2")
    with pytest.raises(RunError, match=r"--momentum was 0\.9, is 0\.0, .*give --momentum=0\.9"):
        train(tmp_path / "with", *SGD, "--momentum=0", "--max_steps=3")
    shutil.copytree(tmp_path / "with", tmp_path / "as_well")
    for flag, words in [
        ("--brightness=10", r"brightness was 63\.0, is 10\.0;"),
        ("--noflip", "flip was True, is False;"),
    ]:
        with pytest.raises(RunError, match=rf"another training in \S+ - {words}"):
            train(tmp_path / "as_well", *SGD, flag, "--max_steps=3")


@pytest.mark.fault(118)
def test_a_listing_tells_the_epoch_and_the_scores_of_the_best(train, tmp_path):
    run = tmp_path / "run"
    for steps in (8, 16):
        train(run, f"--max_steps={steps}")
        state = last(run)[2]
        [file] = (run / "checkpoints").glob("best-*")
        best = state["best"]
        epoch = state["plateau"]["best_step"] * 16 / (1797 - 359)
        loss, top1 = best["loss"], best["top1"]
        assert file.name == f"best-epoch-{epoch:.2f}-loss-{loss:.4f}-top1-{top1:.4f}.json"
        told = json.loads(file.read_text())
        assert told["checkpoint"] == f"step-{state['plateau']['best_step']:08d}"
        assert (run / "checkpoints" / told["checkpoint"]).is_dir()


def test_a_config_in_python_may_leave_them_open_too():
    assert (
        dataclasses.asdict(settled.settled(Config(), None)).items()
        >= {
            "l2": 1e-3,
            "weight_decay": 0.0,
            "halve_after": 7,
            "stop_after": 15,
        }.items()
    )
