"""Trainings of other kinds than a plain run: dry runs, overfitting, epochs, the rate finder."""

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from hw2.errors import DataError, UsageError
from hw2.jobs import hooks as jobs_hooks
from hw2.runs import checkpoints
from hw2.training import rate_finder
from hw2.training.rate_finder import Curve
from tests.training import machines

SEVERAL = {"mirrored": True}


def test_a_dry_run_tries_everything_and_keeps_nothing(train, tmp_path, capsys):
    train(tmp_path / "run", "--dry_run")
    assert not (tmp_path / "run").exists()
    out, err = capsys.readouterr()
    assert "nothing was kept" in err
    result = json.loads(out)
    assert result["dry_run"]
    assert result["step"] == 1
    assert "log_path" not in result


def test_overfitting_learns_its_batches_by_heart(train, tmp_path, capsys):
    flags = ["--overfit_batches=1", "--max_steps=150", "--save_checkpoint_steps=50", "--noflip"]
    flags += ["--brightness=0", "--contrast_min=1", "--contrast_max=1"]
    train(tmp_path / "run", *flags)
    assert json.loads(capsys.readouterr().out)["val_top1"] == 1


@pytest.mark.fault(62)
def test_epochs_and_a_batch_larger_than_the_data(train, tmp_path, capsys):
    train(tmp_path / "run", "--epochs=2", "--batch_size=800", "--save_checkpoint_steps=99")
    assert json.loads(capsys.readouterr().out)["step"] == 4  # 2 * 1438 / 800, rounded up
    with pytest.raises(DataError, match="1438 to train, fewer than --batch_size=1440; lower it"):
        train(tmp_path / "other", "--batch_size=1440")
    with pytest.raises(UsageError, match="multiple of the 2 devices, and of the 3 parts"):
        train(tmp_path / "other", "--accumulate=3", "--logical_devices=2", **SEVERAL)


def test_one_device_is_no_cluster(train, tmp_path, monkeypatch):
    for name, value in machines.by_slurm()[1].items():
        monkeypatch.setenv(name, value)
    train(tmp_path / "task1", "--max_steps=1")  # one of many trainings by srun
    monkeypatch.setenv("TF_CONFIG", machines.by_tf_config()[1]["TF_CONFIG"])
    with pytest.raises(UsageError, match=r"got 2 machines by TF_CONFIG; use multi_gpu_train.py"):
        train(tmp_path / "other", "--max_steps=1")


def test_the_rate_finder_writes_its_curve_and_trains_nothing(train, tmp_path, capsys):
    train(tmp_path / "run", "--find_rate")
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert 1e-5 < result["learning_rate"] < 1
    assert "--learning_rate=" in err
    table, picture = result["files"]
    with open(picture, "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"
    rates = np.loadtxt(table, delimiter=",", skiprows=1)[:, 0]
    assert (np.diff(rates) > 0).all()
    assert checkpoints.listing(tmp_path / "run" / "checkpoints") == []


@pytest.mark.parametrize("lowest", [0, 3, 8, 9, 50])
def test_the_rate_finder_takes_a_minimum_at_any_step(lowest):
    means = np.square(np.arange(100.0) - lowest)  # steepest at first
    steepest = 15 if lowest == 50 else lowest  # the middle of steps 10 to 20
    assert rate_finder._steepest(means) == steepest


def content(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("rate_finder.")
    }


@pytest.mark.fault(111)
def test_a_look_for_the_rate_changes_nothing_of_the_run(train, tmp_path, monkeypatch):
    run = tmp_path / "run"
    train(run, "--max_steps=2", "--save_checkpoint_steps=1")
    newest = checkpoints.listing(run / "checkpoints")[-1]
    (newest / "state.json").write_text("{}")  # a training would set it aside
    before = content(run)
    searched = []

    def search(step, batches):
        searched.append(1)
        return Curve(np.ones(3), np.ones(3), np.ones(3), 0.5)

    monkeypatch.setattr(rate_finder, "search", search)
    for flags in (["--fresh"], ["--fresh", "--validation_fraction=0.5", "--seed=3"]):
        train(run, "--find_rate", *flags)  # a training would draw another split, too
        assert content(run) == before
    for flags in ([], ["--accept_new_data", "--max_steps=99"]):
        with pytest.warns(UserWarning, match="passed over: bad checkpoint in .*-00000002"):
            train(run, "--find_rate", "--save_checkpoint_steps=1", *flags)
        assert content(run) == before
    assert len(searched) == 4
    assert (run / "rate_finder.png").exists()
    train(tmp_path / "new", "--find_rate", "--seed=3")  # a folder that can be trained in after it
    train(tmp_path / "new", "--max_steps=1")
    assert checkpoints.newest(tmp_path / "new" / "checkpoints").step == 1


@pytest.fixture
def digit_folders(tmp_path):
    """A test set of 3 pictures of each digit."""
    digits = load_digits()
    for label in range(10):
        folder = tmp_path / "pictures" / str(label)
        folder.mkdir(parents=True)
        for i, picture in enumerate(digits.images[digits.target == label][:3]):
            Image.fromarray(np.uint8(picture * 15)).save(folder / f"{i}.png")
    return f"--test_data_path={tmp_path / 'pictures'}"


@pytest.mark.fault(107)
@pytest.mark.fault(128)
def test_devices_share_the_test_and_a_dry_run_takes_a_batch_of_it(
    train, digit_folders, tmp_path, monkeypatch, capsys
):
    rows = []
    plain = jobs_hooks.scorer

    def counting(model, loss):
        score = plain(model, loss)

        def call(batches, k, check=lambda: None, keep=None):
            rows.append([len(b[2].values) if hasattr(b[2], "values") else 1 for b in batches])
            return score(batches, k, check, keep)

        return call

    monkeypatch.setattr(jobs_hooks, "scorer", counting)
    flags = ["--max_steps=2", digit_folders]  # 30 pictures, and a batch holds 16
    results = {}
    for name, options in (("one", {}), ("two", {"logical_devices": 2})):
        words = [f"--{flag}={value}" for flag, value in options.items()]
        train(tmp_path / name, *flags, *words, mirrored=bool(options))
        results[name] = json.loads(capsys.readouterr().out)
        assert results[name]["test_num_examples"] == 30
        assert rows.pop() == [1 + (name == "two")] * 2  # two batches, on both devices
    assert results["two"]["test_top1"] == pytest.approx(results["one"]["test_top1"], abs=1 / 30)
    train(tmp_path / "dry", digit_folders, "--dry_run", "--batch_size=8")
    assert json.loads(capsys.readouterr().out)["test_num_examples"] == 8
