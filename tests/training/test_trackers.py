"""Trackers for real: MLflow in a file, Weights & Biases offline, each resumed; their refusals."""

import csv
import importlib.util
import json
import warnings

import pytest

from hw2.config import choices, settings
from hw2.errors import RunError, UsageError
from hw2.training import trackers
from tests.training.tiny import FLAGS

SHORT = ["--max_steps=6", "--save_checkpoint_steps=3", "--log_frequency=1"]


@pytest.fixture
def mlflow(tmp_path, monkeypatch):
    """A client of MLflow whose store is a file."""
    pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # between its own libraries
        from mlflow import MlflowClient

        return MlflowClient()


def series(client, run, name):
    return {one.step: one.value for one in client.get_metric_history(run, name)}


def column(folder, name):
    with (folder / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): float(row[name]) for row in csv.DictReader(file) if row[name]}


def test_mlflow_has_the_curves_and_settings_of_a_run_stopped_and_resumed(
    mlflow, train, stop, tmp_path
):
    folder = tmp_path / "runs" / "mine"
    stop(folder, 4, *SHORT, "--tracker=mlflow")
    run = json.loads((folder / "tracker.json").read_text())["run"]
    assert mlflow.get_run(run).info.status == "KILLED"
    train(folder, *SHORT, "--tracker=mlflow")
    found = mlflow.get_run(run)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "runs/mine"
    assert found.data.params["learning_rate"] == "0.01"
    for name in ("loss", "accuracy", "learning_rate", "val_top1", "val_macro_f1"):
        assert series(mlflow, run, name) == pytest.approx(column(folder, name))
    assert [one.name for one in mlflow.search_experiments()].count("hw2") == 1


def test_a_dry_run_leaves_nothing_behind(mlflow, train, tmp_path):
    train(tmp_path / "run", *SHORT, "--tracker=mlflow", "--dry_run")
    assert [one.name for one in mlflow.search_experiments()].count("hw2") == 0


def test_wandb_writes_the_curves_offline(train, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    folder = tmp_path / "run"
    train(folder, *SHORT, "--tracker=wandb")
    run = json.loads((folder / "tracker.json").read_text())["run"]
    (kept,) = (folder / "wandb").glob(f"offline-run-*-{run}/run-{run}.wandb")
    assert b"val_macro_f1" in kept.read_bytes()


def test_what_a_tracker_refuses_does_not_end_a_training():
    def refuse(step, values):
        raise ConnectionError("the server is gone\nand more")

    tracker = trackers.Tracker("mlflow", refuse, lambda finished: None)
    with pytest.warns(UserWarning, match="no more of this run in mlflow: the server is gone$"):
        tracker.scalars(1, {"loss": 1.0})
    tracker.scalars(2, {"loss": 1.0})  # and says so once
    tracker.close(finished=True)


def test_a_library_that_is_missing_is_told_before_anything_is_done(monkeypatch, train, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=r"--tracker=mlflow needs its library - pip install -e '\.\[mlflow"
    ):
        train(tmp_path / "run", "--tracker=mlflow")
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_cannot_be_reached_is_told(monkeypatch, tmp_path):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nothing://there")
    with pytest.raises(RunError, match=r"no tracking by mlflow - .*; MLFLOW_TRACKING_URI names"):
        trackers.opened("mlflow", tmp_path, {})


def test_the_names_in_the_settings_are_those_here():
    assert settings.parse(["train.py", *FLAGS]).tracker == "none"
    with pytest.raises(UsageError, match="--tracker must be none or mlflow or wandb"):
        settings.parse(["train.py", "--tracker=tensorboard"])
    assert trackers.NAMES == choices.TRACKERS
