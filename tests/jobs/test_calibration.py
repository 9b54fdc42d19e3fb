"""A training fits a temperature, and all that come after it apply it, to its checkpoint alone."""

import csv
import dataclasses
import json
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from scipy.special import softmax

from hw2.config import settings
from hw2.errors import RunError, UsageError
from hw2.jobs import calibration, evaluate, predict
from hw2.jobs import model as trained
from hw2.models import MODELS
from hw2.runs import calibration as stored
from hw2.runs.folder import RunFolder
from hw2.training import metrics
from tests.training.tiny import tiny


@pytest.fixture(scope="module", autouse=True)
def known():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", tiny)
        patch.setattr(sys, "argv", ["train.py"])
        yield


@pytest.fixture
def run(digits_of_tiny):
    return digits_of_tiny


def evaluated(run, capsys, *flags):
    capsys.readouterr()
    evaluate.evaluate(settings.parse(["eval.py", f"--checkpoint_dir={run}", *flags]))
    out, err = capsys.readouterr()
    return json.loads(out.splitlines()[-1]), err


def predicted(run, output, *flags):
    words = [f"--checkpoint_dir={run}", "--data=digits", f"--output={output}", "--top_k=10"]
    predict.predict(settings.parse(["predict.py", *words, *flags]))
    with open(output, newline="") as lines:
        return list(csv.DictReader(lines))


def by_class(rows):
    """Guesses `[N]` and probabilities `[N, 10]` of a CSV file."""
    places = ["", *(f"_{place}" for place in range(2, 11))]
    found = np.zeros([len(rows), 10])
    for number, row in enumerate(rows):
        for place in places:
            found[number, int(row[f"class{place}"])] = float(row[f"probability{place}"])
    return np.array([int(row["class"]) for row in rows]), found


def test_a_training_fits_its_best_checkpoint(run, capsys):
    found = stored.read(RunFolder(run))
    checkpoint, _ = trained.choose(RunFolder(run), "best")
    assert found.fits(checkpoint, "ema")
    assert found.num_examples == 359
    assert found.loss_after < found.loss_before
    result, err = evaluated(run, capsys)
    assert result["temperature"] == found.temperature != 1
    assert result["calibrated_loss"] == pytest.approx(found.loss_after, rel=1e-5)
    assert result["loss"] == pytest.approx(found.loss_before, rel=1e-5)
    assert result["ece"] == pytest.approx(found.ece_after, abs=1e-4)
    assert result["ece_before"] == pytest.approx(found.ece_before, abs=1e-4)
    assert f"temperature {found.temperature:.3f}" in err


def test_prediction_divides_the_logits_and_keeps_the_guesses(run, tmp_path):
    calibrated = predicted(run, tmp_path / "a.csv")
    plain = tmp_path / "run"
    shutil.copytree(run, plain)
    (plain / "calibration.json").unlink()
    guesses, probabilities = by_class(calibrated)
    guesses_before, before = by_class(predicted(plain, tmp_path / "b.csv"))
    np.testing.assert_array_equal(guesses, guesses_before)
    temperature = stored.read(RunFolder(run)).temperature
    expected = softmax(np.log(before) / temperature, axis=1)
    np.testing.assert_allclose(probabilities, expected, atol=2e-4)  # six digits are written
    assert np.abs(probabilities - before).max() > 0.01


def test_of_other_weights_it_is_not_applied_and_that_is_said(run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    result, err = evaluated(copy, capsys, "--weights=raw")
    assert result["temperature"] == 1
    assert result["ece"] == result["ece_before"]
    assert "is not applied to step" in err
    words = ["calibrate", f"--checkpoint_dir={copy}", "--weights=raw"]
    calibration.calibrate(settings.parse(words))
    made = json.loads(capsys.readouterr().out)
    result, err = evaluated(copy, capsys, "--weights=raw")
    assert result["temperature"] == made["temperature"] != 1
    assert "not applied" not in err


def test_one_of_other_views_is_applied_with_a_note_and_chooses_nothing(run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    before = stored.read(RunFolder(copy)).temperature
    result, err = evaluated(copy, capsys, "--tta=flip")
    assert result["temperature"] == before
    assert "that of --tta=none, and only near to that of --tta=flip; hw2 calibrate RUN" in err
    with pytest.raises(RunError, match=r"no calibration with --tta=flip of .* --tta=flip makes"):
        evaluated(copy, capsys, "--tta=flip", "--reject_below=coverage:0.9")
    calibration.calibrate(settings.parse(["calibrate", f"--checkpoint_dir={copy}", "--tta=flip"]))
    made = json.loads(capsys.readouterr().out)
    result, err = evaluated(copy, capsys, "--tta=flip", "--reject_below=coverage:0.9")
    assert result["temperature"] == made["temperature"] != before
    assert result["calibrated_loss"] == pytest.approx(made["loss_after"], rel=1e-5)
    assert 0.05 < result["rejected"] <= 0.1
    assert "only near" not in err


def test_the_command_does_again_what_the_training_did(run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "calibration.json").unlink()
    result, err = evaluated(copy, capsys)
    assert result["temperature"] == 1
    assert "note" not in err
    calibration.calibrate(settings.parse(["calibrate", f"--checkpoint_dir={copy}"]))
    again, before = stored.read(RunFolder(copy)), stored.read(RunFolder(run))
    assert again.temperature == pytest.approx(before.temperature, rel=1e-4)
    assert again.digest == before.digest


def test_a_threshold_is_chosen_on_validation(run, no_digits, tmp_path, capsys):
    found = stored.read(RunFolder(run))
    flags = ["--reject_below=coverage:0.8", f"--unknown_data={no_digits}"]
    result, err = evaluated(run, capsys, *flags)
    assert 0.15 < result["rejected"] <= 0.2
    assert result["accepted_top1"] > result["top1"]
    assert result["num_unknown"] == 40
    assert 0 < result["auroc"] < 1  # this model takes noise for a digit
    assert 0 < result["unknown_accepted"] < 1
    assert "of the others" in err
    assert "AUROC" in err
    error = 0.5 * (1 - result["top1"])
    result, _ = evaluated(run, capsys, f"--reject_below=error:{error}")
    assert 1 - result["accepted_top1"] <= error
    rows = [row for row in found.curve if row[2] <= error * row[1]]
    assert result["reject_below"] == rows[-1][0]
    assert result["rejected"] == pytest.approx(1 - rows[-1][1] / 359)
    result, err = evaluated(run, capsys, "--reject_below=1")  # then there is no top-1 of the others
    assert result["rejected"] == 1
    assert "100.00% rejected" in err
    assert "accepted_top1" not in result


def test_rejected_pictures_have_no_class_but_their_probabilities(run, tmp_path, capsys):
    plain = predicted(run, tmp_path / "plain.csv")
    rows = predicted(run, tmp_path / "a.csv", "--reject_below=coverage:0.8")
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    rejected = [not row["class"] for row in rows]
    assert sum(rejected) == result["num_rejected"]
    assert 0.1 < np.mean(rejected) < 0.3
    sure = [float(row["probability"]) for row in rows]
    assert [value < result["reject_below"] for value in sure] == rejected
    for one, other in zip(rows, plain, strict=True):
        assert one | {"class": ""} == other | {"class": ""}
    right = [a["class"] == a["label"] for a, no in zip(rows, rejected, strict=True) if not no]
    assert result["accepted_top1"] == np.mean(right)


def test_json_lines_say_of_each_whether_it_is_rejected(run, tmp_path):
    path = tmp_path / "a.jsonl"
    words = [f"--checkpoint_dir={run}", "--data=digits", f"--output={path}"]
    predict.predict(settings.parse(["predict.py", *words, "--reject_below=0.9"]))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {line["rejected"] for line in lines} == {True, False}
    assert all(
        line["rejected"] == (line["guesses"][0]["probability"] < 0.9)
        for line in lines
        if abs(line["guesses"][0]["probability"] - 0.9) > 1e-5
    )
    words[-1] = f"--output={tmp_path / 'b.csv'}"
    flags = ["--header=id,first,second", "--ids=number", "--reject_below=0.9"]
    predict.predict(settings.parse(["predict.py", *words, *flags]))
    rows = [line.split(",") for line in (tmp_path / "b.csv").read_text().splitlines()[1:]]
    for row, line in zip(rows, lines, strict=True):
        assert (row[1:] == ["", ""]) == line["rejected"]


def test_what_cannot_be_chosen_is_refused(run, tmp_path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    found = stored.read(RunFolder(copy))
    worse = tuple((t, accepted, accepted // 2 + 1) for t, accepted, _ in found.curve[5:])
    stored.write(RunFolder(copy), dataclasses.replace(found, curve=worse))
    with pytest.raises(UsageError, match=r"error:0.01 cannot be kept .* smallest error .*; give a"):
        evaluated(copy, capsys, "--reject_below=error:0.01")
    (copy / "calibration.json").unlink()
    with pytest.raises(RunError, match=r"no calibration of .*; hw2 calibrate RUN makes one"):
        predicted(copy, tmp_path / "a.csv", "--reject_below=coverage:0.5")
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize("value", ["1.5", "-0.1", "nan", "top1:0.5", "error:", "error:2", ":0.5"])
def test_another_threshold_is_no_value(value):
    with pytest.raises(UsageError, match=r"--reject_below must be a probability, error:0.01 or"):
        settings.parse(["eval.py", f"--reject_below={value}"])


def test_answers_that_are_not_finite_are_not_calibrated(run):
    checkpoint, _ = trained.choose(RunFolder(run), "best")
    outputs = metrics.Outputs()
    outputs.add(np.zeros(2, int), np.array([[1, np.nan], [0, 1]], np.float32))
    with pytest.raises(RunError, match="some of its answers are not finite"):
        calibration.fit(outputs, checkpoint, "ema")


def test_the_binary_loss_has_sigmoids(run):
    checkpoint, _ = trained.choose(RunFolder(run), "best")
    of_both = {**checkpoint.state, "settings": {"loss": "binary"}}
    binary = dataclasses.replace(checkpoint, state=of_both)
    logits = tf.constant([[2.0, -1.0]])
    found = trained.probabilities(binary, 2.0)(logits)
    np.testing.assert_allclose(found, tf.sigmoid([[1.0, -0.5]]))
