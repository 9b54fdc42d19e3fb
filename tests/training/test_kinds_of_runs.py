"""Trainings of other kinds than a plain run: dry runs, overfitting, epochs, the rate finder."""

import json

import numpy as np
import pytest

from hw2.errors import DataError, UsageError
from hw2.runs import checkpoints
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
