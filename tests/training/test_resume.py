"""A resumed run ends as if it had not been stopped; what would change it is refused or reported."""

import csv
import json
import shutil
import signal

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from hw2.errors import DataError, RunError
from hw2.runs import checkpoints
from tests.training.compare import assert_same_run, last, learned

SEVERAL = {"mirrored": True}
RECIPE = [  # whatever has state of its own
    "--optimizer=sgd",
    "--nesterov",
    "--weight_decay=1e-3",
    "--schedule=cosine",
    "--warmup_epochs=0.1",
    "--clip_norm=1",
    "--halve_after=1",
    "--stop_after=9",
]


@pytest.mark.parametrize(
    ("flags", "options", "breaks"),
    [
        ([], {}, [1, 8, 9, 20]),  # after the first step, at an evaluation, after one, between two
        pytest.param([], {}, [4, 13, 16, 17, 23], marks=pytest.mark.slow),
        ([*RECIPE, "--accumulate=2", "--mixup=0.4", "--cutmix=1"], {}, [3, 21]),
        (["--logical_devices=2", "--mixup=0.4"], SEVERAL, [7]),
    ],
)
@pytest.mark.fault(56)
def test_stopped_at_any_step_a_run_ends_bit_for_bit(train, stop, tmp_path, flags, options, breaks):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(whole, *flags, **options)
    assert last(whole)[2]["validation"]["num_examples"] == 359  # no multiple of batch or devices
    for step in breaks:
        stop(cut, step, *flags, **options)
        assert last(cut)[0] == f"step-{step:08d}"
    train(cut, *flags, **options)
    assert_same_run(cut, whole)
    assert [row[0] for row in learned(cut)[1:]] == ["5", "8", "10", "15", "16", "20", "24"]


def test_a_stop_within_the_evaluation_is_made_up_for(train, stop, tmp_path, monkeypatch):
    from hw2.training.step import Steps

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(whole)
    plain, calls = Steps.check, []

    def check(self):  # between two batches of the second evaluation
        calls.append(self)
        if len(calls) == 8 + 23 + 8 + 5:
            signal.raise_signal(signal.SIGTERM)
        plain(self)

    with monkeypatch.context() as patch:
        patch.setattr(Steps, "check", check)
        stop(cut, -1)
    name, _, state = last(cut)
    assert name == "step-00000016"
    assert state["unfinished"]["loss"] > 0
    assert state["validation"] is None
    train(cut)
    assert_same_run(cut, whole)


def test_a_hook_that_stops_loses_nothing(train, tmp_path):
    def stop(run):
        if run.step == 3:
            run.stop("enough for today")

    train(tmp_path / "cut", hooks=[stop])
    name, _, state = last(tmp_path / "cut")
    assert (name, state["unfinished"], len(state["unlogged"])) == ("step-00000003", None, 3)
    train(tmp_path / "cut")
    train(tmp_path / "whole")
    assert_same_run(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.fault(60)
@pytest.mark.fault(61)
def test_a_run_that_is_complete_or_out_of_patience_says_so(train, tmp_path, capsys):
    train(tmp_path / "run", "--max_steps=2", "--fresh")
    train(tmp_path / "run", "--max_steps=2")
    assert "already complete at step 2: --max_steps=2 is reached" in capsys.readouterr().err
    patience = ["--learning_rate=1e-9", "--stop_after=1", "--save_checkpoint_steps=2"]
    train(tmp_path / "patience", *patience)
    capsys.readouterr()
    train(tmp_path / "patience", *patience)
    out, err = capsys.readouterr()
    assert "already complete at step 4: no gain over 1 evaluations" in err
    assert json.loads(out)["step"] == 4


@pytest.mark.fault(59)
def test_what_makes_exactness_impossible_is_refused_or_told(train, tmp_path):
    run = tmp_path / "run"
    train(run, "--max_steps=2")
    for flag, words in [
        ("--batch_size=32", "batch_size was 16, is 32"),
        ("--seed=1", "seed was 0, is 1"),
        ("--ema_decay=0.5", "ema_decay was 0.9999, is 0.5"),
        ("--optimizer=sgd", "optimizer was 'adam', is 'sgd'"),
    ]:
        with pytest.raises(RunError, match=words):
            train(run, "--max_steps=3", flag)
    path = run / "checkpoints" / "step-00000002"
    state = json.loads((path / "state.json").read_text())
    tensors = checkpoints.read(path).tensors()
    state["environment"] |= {"tensorflow": "2.20.0", "threads": 99, "deterministic": True}
    del state["settings"]["mixup"]  # as a version before that flag wrote it: nothing to tell
    checkpoints.write(run / "checkpoints", 2, tensors, state)
    with pytest.warns(UserWarning, match="not bit-identical to the run that was stopped") as told:
        train(run, "--max_steps=4", "--learning_rate=0.02", "--logical_devices=2", **SEVERAL)
    words = str(told[0].message)
    for change in (
        "tensorflow was 2.20.0, is ",
        "threads was 99, is ",
        "deterministic was True, is False",
        "replicas was 1, is 2",
        "learning_rate was 0.01, is 0.02",
    ):
        assert change in words
    assert "mixup" not in words
    [entry] = last(run)[2]["history"]
    assert entry["step"] == 2
    assert "replicas was 1, is 2" in entry["changes"]


@pytest.fixture
def folders(tmp_path):
    """Makes class folders of the digits' first pictures."""
    digits = load_digits()

    def make(name, classes):
        for label, class_name in enumerate(classes):
            folder = tmp_path / name / class_name
            folder.mkdir(parents=True)
            for i, picture in enumerate(digits.images[digits.target == label][:8]):
                Image.fromarray(np.uint8(picture * 15)).save(folder / f"{i}.png")
        return f"--train_data_path={tmp_path / name}"

    return make


@pytest.mark.fault(48)
@pytest.mark.fault(49)
def test_classes_go_by_name_and_a_new_head_learns_others(train, folders, tmp_path, capsys):
    few = ["--batch_size=8", "--max_steps=4"]
    run = tmp_path / "run"
    train(run, folders("five", "abcde"), *few)
    with pytest.raises(
        RunError,
        match=r"5 classes \[a, b, c, d, e\], the data has 7 \[\+f, \+g\]; use --init_from=",
    ):
        train(run, folders("seven", "abcdefg"), *few)
    with pytest.raises(RunError, match=r"the data has 5 \[\+f, -c\]"):
        train(run, folders("renamed", "abdef"), *few)
    state = checkpoints.newest(run / "checkpoints")
    state.state["identity"]["class_names"] = list("bacde")  # the same, permuted
    checkpoints.write(run / "checkpoints", 4, state.tensors(), state.state)
    with pytest.raises(RunError, match=r"in another order: a, b, c, d, e\]"):
        train(run, folders("again", "abcde"), *few)

    seven, init = f"--train_data_path={tmp_path / 'seven'}", f"--init_from={run}"
    with pytest.raises(RunError, match="has 5, the data 7; give --new_head"):
        train(tmp_path / "other", seven, init, *few)
    train(tmp_path / "new", seven, init, "--new_head", *few, "--learning_rate=1e-12", "--fresh")
    err = capsys.readouterr().err
    assert "except stages/head/b, stages/head/w" in err
    old, new = last(run)[1], last(tmp_path / "new")[1]
    kept = "stages/conv/stages/conv1/conv/w"
    rest = np.frombuffer(new[f"model/{kept}"], np.float32)
    theirs = np.frombuffer(old[f"ema/{kept}"], np.float32)
    np.testing.assert_allclose(rest, theirs, atol=1e-6)
    assert len(new["model/stages/head/b"]) == 7 * 4


@pytest.mark.fault(34)
def test_changed_data_goes_on_only_where_that_is_accepted(train, stop, folders, tmp_path, capsys):
    data = folders("data", "abcde")
    flags = [data, "--batch_size=8", "--max_steps=16", "--save_checkpoint_steps=4"]
    run, cut = tmp_path / "run", tmp_path / "cut"
    train(run, data, "--batch_size=8", "--max_steps=6", "--save_checkpoint_steps=4")
    before = (run / "split.csv").read_bytes()
    root = tmp_path / "data"
    first = next(csv.DictReader(before.decode().splitlines()))["name"]
    (root / first).rename(root / "a" / "renamed.png")
    (root / "e" / "7.png").unlink()
    for number in (100, 101, 102):
        Image.fromarray(np.full([9, 9], number, np.uint8)).save(root / "b" / f"{number}.png")

    words = r"from 40 pictures to 42: 2 missing \(.*\), 4 new \(.*\); .* --accept_new_data"
    with pytest.raises(DataError, match=words):
        train(run, *flags)
    assert (run / "split.csv").read_bytes() == before
    shutil.copytree(run, cut, symlinks=True)
    capsys.readouterr()
    train(run, *flags, "--accept_new_data")
    err = capsys.readouterr().err
    assert "the data has changed, from 40 pictures to 42: " in err
    assert "resuming from step 6" in err
    assert (run / "split-until-00000006.csv").read_bytes() == before
    with (run / "split.csv").open(newline="") as file:
        parts = {row["name"]: row["part"] for row in csv.DictReader(file)}
    old = {row["name"]: row["part"] for row in csv.DictReader(before.decode().splitlines())}
    assert parts["a/renamed.png"] == old[first]
    assert all(parts[name] == part for name, part in old.items() if name in parts)
    assert len(parts) == 42
    state = last(run)[2]
    assert (state["step"], state["data_since"]) == (16, 6)
    assert {"step": 6, "changes": ["the data has changed"]} in state["history"]
    assert state["plateau"]["best_step"] > 6  # scores of other pictures do not count
    assert "accept_new_data" not in (run / "flags.cfg").read_text()

    stop(cut, 6 + 1, *flags, "--accept_new_data")  # and stopped again, it is the same run
    stop(cut, 11, *flags)
    train(cut, *flags)
    assert_same_run(cut, run)


def test_pictures_kept_on_disk_train_the_same(train, folders, tmp_path, capsys):
    flags = [folders("data", "abc"), "--batch_size=8", "--max_steps=4", "--cache_mb=0"]
    train(tmp_path / "plain", *flags)
    cache = f"--disk_cache={tmp_path / 'cache'}"
    train(tmp_path / "first", *flags, cache)
    [pixels] = (tmp_path / "cache").rglob("*.pixels")
    written = pixels.read_bytes()
    assert len(written) == 24 * 8 * 8 * 3
    train(tmp_path / "second", *flags, cache)
    assert [*(tmp_path / "cache").rglob("*.pixels")] == [pixels]  # nothing was decoded again
    assert pixels.read_bytes() == written
    for name in ("first", "second"):
        assert_same_run(tmp_path / name, tmp_path / "plain")
    assert f"{cache}\n" in (tmp_path / "first" / "flags.cfg").read_text()


@pytest.mark.fault(50)
def test_another_model_is_refused_before_anything_is_set(train, tmp_path):
    train(tmp_path, "--max_steps=2")
    found = checkpoints.newest(tmp_path / "checkpoints")
    tensors = found.tensors()
    tensors["model/stages/older/w"] = tensors.pop("model/stages/head/w")
    tensors["model/stages/head/b"] = np.zeros(11, np.float32)
    checkpoints.write(tmp_path / "checkpoints", 2, tensors, found.state)
    words = (
        "1 missing: model/stages/head/w; 1 not expected: model/stages/older/w; 1 of another "
        r"shape: model/stages/head/b is \[11\], the model's \[10\]; give the --model"
    )
    with pytest.raises(RunError, match=words):
        train(tmp_path, "--max_steps=3")


@pytest.mark.fault(51)
@pytest.mark.fault(52)
def test_a_state_that_cannot_be_is_passed_over_and_a_pointer_outside_ignored(train, tmp_path):
    train(tmp_path, "--max_steps=16")
    folder = tmp_path / "checkpoints"
    (folder / "checkpoint").write_text('model_checkpoint_path: "/etc/passwd"')
    newest = checkpoints.newest(folder)
    for step, change in enumerate(
        [
            {"plateau": {"halve_after": "x"}},
            {"plateau": None},
            {"unlogged": [[1.0, "a"]]},
            {"best": {**newest.state["best"], "top1": True}},
            {"environment": []},
            {"format": 99},
            {"step": 3},
        ],
        17,
    ):
        checkpoints.write(folder, step, newest.tensors(), {**newest.state, "step": step, **change})
    checkpoints.write(folder, 30, {"w": np.zeros(2, np.float32)}, {**newest.state, "step": 30})
    (folder / "step-00000030" / "state.json").write_text("[" * 100_000)
    with pytest.warns(UserWarning, match="passed over") as told:
        train(tmp_path, "--max_steps=16")
    assert len(told) == 8
    words = "\n".join(str(warning.message) for warning in told)
    for reason in (
        "state.plateau must have halve_after",
        "state.plateau is missing, not an object",
        "state.unlogged is of type str, not float",
        "state.best.top1 is of type bool, not float",
        "state.environment is of type list, not an object",
        "state.json is of format 99, this program reads 1",
        "state.json is of step 3",
        "state.json has changed since it was written",
    ):
        assert reason in words
    assert checkpoints.newest(folder).step == 16
    assert len(list(folder.glob("*.corrupt"))) == 8


@pytest.mark.fault(45)
def test_only_fresh_begins_again_where_no_checkpoint_is_good(train, tmp_path):
    train(tmp_path, "--max_steps=2")
    [path] = checkpoints.listing(tmp_path / "checkpoints")
    (path / "tensors.safetensors").write_bytes(b"")
    for _ in range(2):  # the first start must not have made way for the second
        with pytest.raises(RunError, match=r"no good checkpoint in .*give --fresh") as refused:
            train(tmp_path, "--max_steps=2")
    assert refused.value.exit_code == 4
    train(tmp_path, "--max_steps=2", "--fresh")
    assert (tmp_path / "before-fresh-1" / "checkpoints" / path.name).exists()
    assert "fresh" not in (tmp_path / "flags.cfg").read_text()
    assert checkpoints.newest(tmp_path / "checkpoints").step == 2
