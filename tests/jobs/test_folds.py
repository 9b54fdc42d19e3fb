"""Trainings of all folds: each picture answered for once, stopped and resumed, refused."""

import csv
import functools
import json
import os
import shutil
import signal

import numpy as np
import pytest

from hw2.config import settings
from hw2.errors import Interrupted, RunError, UsageError
from hw2.jobs import folds, suspects
from hw2.jobs.train import train as one_training
from hw2.models import MODELS
from hw2.report import folds as page
from tests.training.compare import last
from tests.training.tiny import SHORT, tiny


def start(folder, *flags, count=2, seeds=0):
    config = settings.parse(["folds", *SHORT, *flags, f"--log_path={folder}"])
    return folds.run(config, folds=count, seeds=seeds)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny)


@pytest.fixture
def whole(two_folds):
    return two_folds


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_picture_is_answered_for_once_by_a_model_that_has_not_seen_it(whole):
    answers = rows(whole.folder / "folds.csv")
    assert [row["name"] for row in answers] == list(whole.examples.names)
    for number, member in enumerate(whole.members, start=1):
        held_out = {row["name"] for row in answers if row["fold"] == str(number)}
        split = rows(whole.folder / member.name / "split.csv")
        assert held_out == {row["name"] for row in split if row["part"] == "validation"}
    right = np.mean([row["class"] == row["answer"] for row in answers])
    result = json.loads((whole.folder / "folds.json").read_text())
    assert result["together"]["top1"] == pytest.approx(right)
    tops = [one["top1"] for one in result["trainings"]]
    assert result["spread"]["top1"]["mean"] == pytest.approx(np.mean(tops))
    assert result["spread"]["top1"]["deviation"] == pytest.approx(np.std(tops, ddof=1))
    assert {"temperature", "threshold", "balanced_accuracy"} <= result["spread"].keys()
    assert [row["name"] for row in rows(whole.folder / "suspects.csv")] == [
        whole.examples.names[one.image] for one in whole.suspects
    ]


def test_stopped_in_the_middle_and_resumed_it_ends_bit_for_bit(whole, tmp_path, monkeypatch):
    def send(run):
        if run.step == 6 and (tmp_path / "cut-folds" / "fold-2").exists():
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(folds.train, "train", functools.partial(one_training, hooks=[send]))
    with pytest.raises(Interrupted, match="stopped by SIGINT at step 6; rerun the command"):
        start(tmp_path / "cut")
    done = tmp_path / "cut-folds" / "fold-1" / "metrics.csv"
    before = done.stat().st_mtime_ns
    monkeypatch.setattr(folds.train, "train", one_training)
    found = start(tmp_path / "cut")
    assert done.stat().st_mtime_ns == before
    for name in ("folds.csv", "suspects.csv"):
        assert (found.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert found.result | {"log_path": ""} == whole.result | {"log_path": ""}
    for member in whole.members:
        (_, one, _), (_, other, _) = (last(f / member.name) for f in (whole.folder, found.folder))
        assert one == other


def test_what_was_done_is_not_trained_again(whole, monkeypatch, capsys):
    monkeypatch.setattr(folds.train, "train", None)
    again = start(whole.folder.with_name("run"))
    assert again.result == whole.result
    assert capsys.readouterr().err.count("done at step 8") == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--split_file=split.csv"], "--split_file cannot go with folds - each picture is held"),
        (["--validation_fraction=0.3"], "--validation_fraction cannot go with folds"),
        (["--fresh"], "--fresh is of a single training - leave it out, or give hw2 train"),
        (["--overfit_batches=2"], "--overfit_batches is of a single training"),
        (["--dry_run"], "--dry_run is of a single training"),
    ],
)
def test_settings_that_cannot_hold_are_refused(tmp_path, flags, words):
    with pytest.raises(UsageError, match=words):
        start(tmp_path / "run", *flags)
    assert not list(tmp_path.iterdir())


def test_a_seed_past_the_last_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"the last seed must be in .*, got 2147483648; lower"):
        start(tmp_path / "run", "--seed=2147483647", seeds=2)


def test_other_settings_and_other_folds_are_refused(whole):
    folder = whole.folder.with_name("run")
    with pytest.raises(RunError, match=r"--learning_rate=0.01 before, --learning_rate=0.02 now"):
        start(folder, "--learning_rate=0.02")
    with pytest.raises(RunError, match=r"another split in .* - fold-1 was drawn with another"):
        start(folder, count=3)
    start(folder, "--log_frequency=7")  # which changes nothing of what is learned


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "run-folds").mkdir()
    (tmp_path / "run-folds" / "letter.txt").touch()
    with pytest.raises(RunError, match=r"no folds in .* is not empty and has no folds\.cfg"):
        start(tmp_path / "run")


def test_a_damaged_answer_is_computed_again(whole, tmp_path):
    copy = tmp_path / "run-folds"
    shutil.copytree(whole.folder, copy, symlinks=True)
    (copy / "fold-2" / "held_out.npz").write_bytes(b"PK damaged")
    again = start(tmp_path / "run")
    assert again.result | {"log_path": ""} == whole.result | {"log_path": ""}


def test_seeds_share_a_split(tmp_path, capsys):
    found = start(tmp_path / "run", "--max_steps=4", seeds=2)
    assert found.folder == tmp_path / "run-seeds"
    assert [one["name"] for one in found.result["trainings"]] == ["seed-0", "seed-1"]
    one, other = (found.folder / name for name in ("seed-0", "seed-1"))
    assert (one / "split.csv").read_bytes() == (other / "split.csv").read_bytes()
    assert last(one)[1] != last(other)[1]
    assert not (found.folder / "folds.csv").exists()
    page.build(found)
    assert json.loads(capsys.readouterr().out)["trainings"] == found.result["trainings"]


def test_the_page_has_the_figures_and_the_suspects(whole, capsys):
    page.build(whole)
    assert json.loads(capsys.readouterr().out)["page"] == str(whole.folder / "folds.html")
    text = (whole.folder / "folds.html").read_text("utf-8")
    assert f"{whole.result['trainings'][1]['top1']:.4f}" in text
    assert text.count('<div class="card">') == min(len(whole.suspects), page.MOST) > 0


def answers_with_mistakes(seed=0):
    """Answers for 2,000 pictures of four classes, of whose labels 100 were swapped."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 4, 2000)
    logits = rng.standard_normal((2000, 4)) + 5 * np.eye(4)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    given = true.copy()
    given[:100] = (true[:100] + 1) % 4
    return true, given, probabilities


def test_swapped_labels_are_found():
    true, given, probabilities = answers_with_mistakes()
    found = suspects.find(given, probabilities)
    swapped = [one for one in found if one.image < 100]
    assert len(swapped) >= 90
    assert len(swapped) >= 0.9 * len(found)
    assert all(one.suggested == true[one.image] for one in swapped)
    sure = [one.probability_of_given for one in found]
    assert sure == sorted(sure)


def test_a_class_without_pictures_changes_nothing():
    _, given, probabilities = answers_with_mistakes()
    wide = np.insert(probabilities, 2, 1e-9, axis=1)
    found = suspects.find(given + (given >= 2), wide)
    images = [one.image for one in suspects.find(given, probabilities)]
    assert [one.image for one in found] == images
    assert all(2 not in (one.given, one.suggested) for one in found)


def test_labels_of_a_single_class_have_no_suspects():
    assert suspects.find(np.zeros(5, int), np.full((5, 3), 1 / 3)) == []
