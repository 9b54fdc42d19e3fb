"""Class weights, balanced order and focal loss through a training, and what is kept of them."""

import csv
import json

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from hw2.config import advice, settings
from hw2.errors import DataError
from hw2.jobs import class_weights, settled
from hw2.report import record
from tests.training.compare import assert_same_run, last

CLASSES = ["cat", "dog", "Ärger, laut"]


def refused(folder, text):
    file = folder / "w.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError) as raised:
        class_weights.read(str(file), CLASSES)
    return str(raised.value).replace(str(file), "w.csv")


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.repeat([0, 1, 2], [90, 9, 1])
    ours = class_weights.balanced(np.bincount(labels))
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert np.mean(np.array(ours)[labels]) == pytest.approx(1)
    assert class_weights.balanced(np.array([3, 0, 1])) == [4 / 6, 1.0, 2.0]


def test_a_file_has_a_line_for_each_class_in_any_order(tmp_path):
    file = tmp_path / "w.csv"
    file.write_text('class,weight\ndog,2\n"A\u0308rger, laut",0\ncat,0.5\n', "utf-8")
    assert class_weights.read(str(file), CLASSES) == [0.5, 2.0, 0.0]


def test_mistakes_in_the_file_are_told_by_name_and_line(tmp_path):
    known = "the classes are cat, dog, Ärger, laut; correct the name or remove the line"
    for text, words in (
        ("class,weight\ncat,1\ncta,2\n", f"w.csv:3 - there is no class cta; {known}"),
        (
            "class,weight\ncat,1\n",
            "w.csv:2 - it ends without dog, Ärger, laut; add a line for each",
        ),
        ("class,weight\ncat,1\ndog,1\ncat,2\n", "w.csv:4 - cat is in line 2 already; remove one"),
        (
            "class,weight\ncat,-1\n",
            "w.csv:2 - the weight of cat is '-1'; give a number of at least 0",
        ),
        (
            "class,weight\ncat,nan\n",
            "w.csv:2 - the weight of cat is 'nan'; give a number of at least 0",
        ),
        (
            "name,weight\ncat,1\n",
            f"w.csv:1 - the header is name,weight; {class_weights.FORM}",
        ),
        ("", f"w.csv:1 - the file is empty; {class_weights.FORM}"),
        (
            'class,weight\ncat,0\ndog,0\n"Ärger, laut",0\n',
            "w.csv:4 - every weight is 0; give one above 0",
        ),
    ):
        assert refused(tmp_path, text) == f"bad line in {words}"
    with pytest.raises(DataError, match=r"unreadable list in .*none\.csv - no such file"):
        class_weights.read(str(tmp_path / "none.csv"), CLASSES)


def test_what_does_one_thing_twice_or_nothing_is_told():
    def told(*flags):
        given = settings.parse(["train.py", *flags])
        return advice.notes(given, settled.settled(given, None))

    [words] = told("--class_weights=balanced", "--sampling=balanced")
    assert words.startswith("--class_weights=balanced and --sampling=balanced: both make up")
    [words] = told("--focal_gamma=1")
    assert words == "--focal_gamma=1.0 has no effect: it is of --loss=focal"
    assert told("--focal_gamma=1", "--loss=focal", "--class_weights=balanced") == []


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Digits, the first with 10 images of each other's 100, as arrays."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    kept = [np.flatnonzero(digits.target == d)[: 10 if d == 0 else 100] for d in range(4)]
    rows = np.concatenate(kept)
    folder = tmp_path_factory.mktemp("rare")
    np.save(folder / "train_images.npy", (15 * digits.images[rows]).astype(np.uint8))
    np.save(folder / "train_labels.npy", digits.target[rows])
    return folder


def test_a_run_with_all_of_it_is_resumed_bit_for_bit_and_keeps_it(
    train, stop, rare, tmp_path, capsys, command
):
    weights = tmp_path / "weights.csv"
    weights.write_text("class,weight\n0,10\n1,1\n2,1\n3,1\n")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    flags = [f"--train_data_path={rare}", f"--class_weights={weights}", "--sampling=balanced"]
    flags += ["--loss=focal", "--focal_gamma=1.5", "--label_smoothing=0.1", "--mixup=0.3"]
    flags += ["--max_steps=16", "--logical_devices=2", "--best_by=macro_f1"]
    train(whole, *flags, mirrored=True)
    out, err = capsys.readouterr()
    assert "imbalance" not in err  # it is answered
    stop(cut, 11, *flags, mirrored=True)
    train(cut, *flags, mirrored=True)
    assert_same_run(cut, whole)

    state = last(whole)[2]
    assert state["class_weights"] == {"0": 10.0, "1": 1.0, "2": 1.0, "3": 1.0}
    kept = {name: state["settings"][name] for name in ("sampling", "focal_gamma", "best_by")}
    assert kept == {"sampling": "balanced", "focal_gamma": 1.5, "best_by": "macro_f1"}
    with (whole / "metrics.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["val_macro_f1"]]
    best = max(rows, key=lambda row: float(row["val_macro_f1"]))
    assert state["plateau"]["best_step"] == int(best["step"]) == record.read(whole).best_step
    assert state["plateau"]["best"] == state["best"]["macro_f1"] == float(best["val_macro_f1"])
    result = json.loads(out.splitlines()[-1])
    assert result["val_macro_f1"] == state["best"]["macro_f1"]
    assert result["val_balanced_accuracy"] == state["best"]["balanced_accuracy"]
    assert "validation macro F1" in err

    # Evaluation counts by itself, the report by scikit-learn; both without being told of the loss.
    capsys.readouterr()
    assert command("eval", whole) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert command("report", whole) == 0
    page = json.loads(capsys.readouterr().out.splitlines()[-1])
    for name in ("balanced_accuracy", "macro_f1"):
        assert found[name] == pytest.approx(page[name], abs=1e-9)
        assert found[name] == pytest.approx(state["best"][name], abs=1e-9)
    assert found["loss"] == pytest.approx(state["best"]["loss"], rel=1e-5)
    assert "macro F1" in (whole / "report.html").read_text()

    # Another best_by, and other weights in the file: resumed, and told of.
    weights.write_text("class,weight\n0,5\n1,1\n2,1\n3,1\n")
    flags[-1] = "--best_by=loss"
    with pytest.warns(UserWarning, match="best_by was macro_f1, is loss; the class weights have"):
        train(whole, *flags, "--max_steps=17", mirrored=True)
    state = last(whole)[2]
    assert state["class_weights"]["0"] == 5
    assert state["plateau"]["best"] == -state["best"]["loss"]


def test_plain_training_warns_of_imbalance_and_weights_change_it(train, rare, tmp_path, capsys):
    flags = [f"--train_data_path={rare}", "--max_steps=2", "--save_checkpoint_steps=2"]
    train(tmp_path / "plain", *flags)
    err = " ".join(capsys.readouterr().err.split())
    assert "note: imbalance: 1 has 80 images, 10 times the 8 of 0; --class_weights" in err
    train(tmp_path / "weighted", *flags, "--class_weights=balanced")
    assert "imbalance" not in capsys.readouterr().err
    plain, weighted = (last(tmp_path / name) for name in ("plain", "weighted"))
    assert plain[2]["class_weights"] is None
    assert weighted[2]["class_weights"]["0"] == pytest.approx(248 / (4 * 8))
    name = "model/stages/head/w"
    assert plain[1][name] != weighted[1][name]


def test_a_wrong_file_ends_a_training_before_anything_is_written(train, rare, tmp_path):
    weights = tmp_path / "weights.csv"
    weights.write_text("class,weight\n0,10\n7,1\n")
    with pytest.raises(DataError, match=r"weights\.csv:3 - there is no class 7"):
        train(tmp_path / "run", f"--train_data_path={rare}", f"--class_weights={weights}")
    assert not (tmp_path / "run").exists()
