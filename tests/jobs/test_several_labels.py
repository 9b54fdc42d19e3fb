"""Several labels a picture, from a list to an export: two handwritten digits on each picture."""

import csv
import json
import shutil
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

from hw2.config import settings
from hw2.errors import DataError, RunError, UsageError
from hw2.export import agreement
from hw2.export import build as export
from hw2.export.samples import Picture
from hw2.jobs import calibration, evaluate, folds, multilabel, predict
from hw2.jobs import train as experiment
from hw2.report import build as report
from hw2.runs import checkpoints
from hw2.training import multilabel as scores

FLAGS = [
    "--model=simple_cnn",
    "--kernel_size=3",
    "--image_size=16",
    "--short_side=16",
    "--crop_size=16",
    "--augmentation=none",
    "--channels=1",
    "--batch_size=16",
    "--max_steps=24",
    "--save_checkpoint_steps=8",
    "--log_frequency=8",
    "--learning_rate=0.01",
    "--ema_decay=0.9",
    "--notensorboard",
]


def pictures(folder, first, count):
    """Writes pictures of two digits each, and their list; one of them has no digit."""
    digits = load_digits()
    folder.mkdir(parents=True)
    rows = [("file", "labels")]
    for number in range(count):
        canvas = np.zeros([16, 16], np.uint8)
        pair = first + 2 * number, first + 2 * number + 1
        for left, digit in zip((0, 8), pair, strict=True):
            canvas[4:12, left : left + 8] = 15 * digits.images[digit]
        labels = sorted({int(digits.target[digit]) for digit in pair})
        if number == 0:
            canvas[:], labels = 40 + first // 10, []
        Image.fromarray(canvas).save(folder / f"{number}.png")
        rows.append((f"{number}.png", ";".join(map(str, labels))))
    with open(folder / "list.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return folder / "list.csv"


def train(*flags):
    experiment.train(settings.parse(["train.py", *FLAGS, *map(str, flags)]))


@pytest.fixture(scope="module")
def lists(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return pictures(folder / "train", 0, 200), pictures(folder / "test", 400, 60)


@pytest.fixture(scope="module")
def trained(lists, tmp_path_factory):
    """The run folder of a training, which tests only read."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        train(f"--train_data_path={lists[0]}", f"--log_path={folder}")
    return folder


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def config(trained, *flags):
    return settings.parse(["eval.py", f"--checkpoint_dir={trained}", *map(str, flags)])


def line(capsys):
    """The JSON line that was printed, and what people read."""
    out, err = capsys.readouterr()
    return json.loads(out.splitlines()[-1]), err


def test_the_run_records_the_labels_the_loss_and_the_thresholds(trained):
    state = checkpoints.newest(trained / "checkpoints").state
    assert state["identity"]["several_labels"] is True
    assert state["settings"]["loss"] == "binary"
    assert state["settings"]["best_by"] == "mean_average_precision"
    found = state["validation"]
    assert len(found["thresholds"]) == 10
    assert 0.1 < found["mean_average_precision"] <= 1
    with open(trained / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["val_mean_average_precision"]) == found["mean_average_precision"]
    assert "val_top1" not in rows[0]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert list((trained / "checkpoints").glob("best-epoch-*-mAP-*.json"))
    with open(trained / "split.csv", newline="") as file:
        by_name = {row["name"]: row["class"] for row in csv.DictReader(file)}
    assert (by_name["0.png"], by_name["1.png"]) == ("", "2;3")


def test_evaluation_uses_the_thresholds_of_the_validation(trained, lists, tmp_path, capsys):
    flags = (f"--test_data_path={lists[1]}", f"--eval_dir={tmp_path}")
    evaluate.evaluate(config(trained, *flags))
    found, told = line(capsys)
    state = checkpoints.newest(trained / "checkpoints").state
    assert "thresholds: chosen on its validation" in told
    assert f"mAP {found['mean_average_precision']:.4f}, micro F1" in told
    assert found["thresholds"] == state["best"]["thresholds"] or found["step"] != state["step"]
    with open(tmp_path / "per_class.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    known = [float(row["average_precision"]) for row in rows if row["average_precision"]]
    assert np.mean(known) == pytest.approx(found["mean_average_precision"])
    evaluate.evaluate(config(trained, *flags, "--threshold=1"))
    found, told = line(capsys)
    assert "thresholds: --threshold=1" in told
    assert found["micro_f1"] == 0
    assert found["exact_match"] == pytest.approx(1 / 60)  # the one without a label


def test_prediction_writes_labels_and_probabilities(trained, lists, tmp_path, capsys):
    output = tmp_path / "answer.csv"
    words = (f"--data={lists[1]}", f"--output={output}")
    predict.predict(config(trained, *words))
    found, _ = line(capsys)
    evaluate.evaluate(config(trained, f"--test_data_path={lists[1]}", f"--eval_dir={tmp_path}"))
    scored, _ = line(capsys)
    assert found["num_labelled"] == 60
    for name in ("mean_average_precision", "micro_f1", "macro_f1", "exact_match"):
        assert found[name] == pytest.approx(scored[name], abs=1e-6)
    with open(output, newline="") as file:
        rows = list(csv.DictReader(file))
    cuts = scored["thresholds"]
    for row in rows:
        given = [str(n) for n in range(10) if float(row[f"probability_{n}"]) >= cuts[n]]
        assert row["labels"] == ";".join(given)
    assert (rows[0]["true_labels"], rows[0]["error"]) == ("", "")
    predict.predict(config(trained, f"--data={lists[1].parent}", "--output=-", "--form=jsonl"))
    [first, *_] = capsys.readouterr().out.splitlines()
    assert set(json.loads(first)) == {"name", "labels", "probabilities"}
    predict.predict(config(trained, *words, "--header=id,tags", "--ids=stem", "--overwrite"))
    assert output.read_text().splitlines()[0] == "id,tags"
    with pytest.raises(UsageError, match="the id and one column for all labels of a picture"):
        predict.predict(config(trained, *words, "--header=id,a,b", "--overwrite"))


@pytest.mark.parametrize(
    "form",
    [
        "litert",
        pytest.param("saved_model", marks=pytest.mark.slow),
        pytest.param("onnx", marks=pytest.mark.slow),
    ],
)
def test_exports_agree_and_carry_the_thresholds(trained, tmp_path, form, capsys):
    if form == "onnx":
        pytest.importorskip("tf2onnx")
        pytest.importorskip("onnxruntime")
    output = tmp_path / form
    export.export(str(trained), config(trained, f"--format={form}", f"--output={output}"))
    found, _ = line(capsys)
    assert found["same_labels"] == 1
    assert found["largest_difference"] < agreement.TOLERANCE
    cuts = multilabel.thresholds(config(trained), checkpoints.newest(trained / "checkpoints"))[0]
    if form == "litert":
        with zipfile.ZipFile(output) as archive:
            assert len(json.loads(archive.read("thresholds.json"))) == 10
    elif form == "saved_model":
        loaded = tf.saved_model.load(str(output))
        picture = tf.zeros([16, 16, 3], tf.uint8)
        answer = loaded.signatures["pixels"](picture)
        best = float(answer["thresholds"][0, 0])
        assert any(best == pytest.approx(cut) for cut in cuts)


def test_an_export_that_gives_another_label_is_refused(tmp_path):
    expected = np.array([0.2, 0.7])
    picture = Picture("x.png", b"", np.array([0, 1]), expected)
    agreement.check([picture], [expected + 5e-5], tmp_path, [0.2, 0.5])  # on the threshold
    with pytest.raises(RunError, match="or a label differs"):
        agreement.check([picture], [expected - np.array([0, 0.3])], tmp_path, [0.2, 0.5])
    same = agreement.measure([picture], [expected - np.array([0, 0.3])], [0.2, 0.5])
    assert same == {"same_labels": 0.0, "largest_difference": pytest.approx(0.3)}


def test_the_report(copied, capsys):
    report.build([str(copied)], config(copied))
    found, _ = line(capsys)
    assert found["missing"] == []
    assert 0.1 < found["mean_average_precision"] <= 1
    text = (copied / "report.html").read_text("utf-8")
    for words in ("mean average precision", "Which classes are together", "all labels right"):
        assert words in text
    assert "Calibration" not in text
    report.build([str(copied), str(copied)], config(copied))
    assert "Several labels a picture" in (copied / "comparison.html").read_text("utf-8")


def test_a_run_resumes_bit_for_bit(lists, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py"])
    flags = (f"--train_data_path={lists[0]}", f"--log_path={tmp_path / 'run'}")
    train(*flags, "--max_steps=16")
    train(*flags)
    one, other = (
        checkpoints.newest(folder / "checkpoints") for folder in (trained, tmp_path / "run")
    )
    assert one.state["validation"] == other.state["validation"]
    mine, theirs = one.tensors(), other.tensors()
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize(
    "flags",
    [
        ("--loss=focal", "--class_weights=balanced", "--label_smoothing=0.1"),
        ("--mixup=0.2", "--cutmix=1", "--best_by=micro_f1"),
    ],
)
def test_what_goes_with_several_labels(lists, tmp_path, monkeypatch, flags, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py"])
    train(
        f"--train_data_path={lists[0]}",
        f"--test_data_path={lists[1]}",
        f"--log_path={tmp_path / 'run'}",
        "--max_steps=2",
        *flags,
    )
    found, _ = line(capsys)
    assert {"val_mean_average_precision", "test_micro_f1", "test_exact_match"} <= set(found)
    assert "k" not in found


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--loss=cross_entropy", "--loss must be binary or focal with several labels a picture"),
        ("--loss=kl", "whose probabilities sum to 1; leave it out"),
        ("--sampling=balanced", "--class_weights=balanced makes rare classes count more"),
        ("--best_by=top1", "--best_by must be mean_average_precision or macro_f1 or micro_f1 or"),
    ],
)
def test_what_does_not_go_with_them(lists, tmp_path, flag, words):
    with pytest.raises(UsageError, match=words):
        train(f"--train_data_path={lists[0]}", f"--log_path={tmp_path / 'run'}", flag)
    assert not (tmp_path / "run").exists()


def test_the_usual_threshold_is_one_number():
    assert multilabel.USUAL == scores.USUAL


def test_one_label_a_picture_has_no_map(tmp_path):
    with pytest.raises(UsageError, match="top1 or macro_f1 or balanced_accuracy or loss with one"):
        train("--train_data_path=digits", f"--log_path={tmp_path}", "--best_by=micro_f1")


def test_test_data_of_another_kind(lists, trained, tmp_path):
    other = tmp_path / "one.csv"
    (tmp_path / "1.png").write_bytes((lists[1].parent / "1.png").read_bytes())
    other.write_text("file,class\n1.png,3\n")
    with pytest.raises(DataError, match=r"other labels in the test data .* one label a picture"):
        evaluate.evaluate(config(trained, f"--test_data_path={other}", f"--eval_dir={tmp_path}"))
    empty = tmp_path / "none.csv"
    empty.write_text("file,labels\n1.png,\n")
    with pytest.raises(DataError, match=r"no labels in .* none of its 1 pictures has one"):
        evaluate.evaluate(config(trained, f"--test_data_path={empty}", f"--eval_dir={tmp_path}"))


def test_a_threshold_of_every_label_is_refused_with_one(tmp_path):
    checkpoint = checkpoints.Checkpoint(tmp_path, 0, {"identity": {}}, "")
    multilabel.check_rejection(settings.Config(), checkpoint)
    with pytest.raises(UsageError, match="--threshold must be left out with one label a picture"):
        multilabel.check_rejection(settings.Config(threshold=0.9), checkpoint)


def test_what_is_of_one_label_a_picture_is_refused(trained, lists, tmp_path):
    flags = (f"--data={lists[1]}", f"--output={tmp_path / 'a.csv'}", "--reject_below=0.9")
    with pytest.raises(UsageError, match="--reject_below must be left out with several labels"):
        predict.predict(config(trained, *flags))
    with pytest.raises(UsageError, match="--reject_below must be left out with several labels"):
        evaluate.evaluate(config(trained, "--reject_below=0.9", f"--eval_dir={tmp_path}"))
    with pytest.raises(UsageError, match="--reject_by must be left out with several labels"):
        evaluate.evaluate(config(trained, "--reject_by=distance", f"--eval_dir={tmp_path}"))
    with pytest.raises(UsageError, match="--unknown_data must be left out with several labels"):
        evaluate.evaluate(config(trained, "--unknown_data=digits", f"--eval_dir={tmp_path}"))
    with pytest.raises(RunError, match="its pictures have several labels, and a temperature is"):
        calibration.calibrate(config(trained))
    with pytest.raises(UsageError, match="hw2 folds must have one label a picture, got several"):
        folds.run(
            settings.parse(["folds", *FLAGS, f"--train_data_path={lists[0]}"]), folds=2, seeds=0
        )
    assert not (trained / "calibration.json").exists()
