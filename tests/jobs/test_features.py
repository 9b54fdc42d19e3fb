"""Features: the last dense layer makes the answers of prediction of them."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.config import settings
from hw2.errors import DataError, RunError, UsageError
from hw2.jobs import features, predict
from hw2.jobs import model as trained
from hw2.jobs.extractor import extractor
from hw2.layers.sequential import Sequential, flat, relu
from hw2.runs import folder as run_folder
from tests import guide


@pytest.fixture
def data(noise):
    return noise


@pytest.fixture
def run(noise_run):
    return noise_run


def embed(run, data, output, *flags):
    words = [f"--checkpoint_dir={run}", f"--data={data}", f"--output={output}", *flags]
    features.embed(settings.parse(["embed.py", *words, "--batch_size=8"]))


def rows_of(file):
    with open(file, newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_last_dense_layer_makes_the_answers_of_prediction(run, data, tmp_path, capsys):
    embed(run, data, tmp_path / "a.npz")
    result = json.loads(capsys.readouterr().out)
    with np.load(tmp_path / "a.npz") as found:
        x, names = found["features"], found["names"]
    assert x.shape == (20, 50)
    assert x.dtype == np.float32
    assert (result["num_examples"], result["features"], result["num_bad"]) == (20, 50, 0)
    words = [f"--checkpoint_dir={run}", f"--data={data}", f"--output={tmp_path / 'p.csv'}"]
    predict.predict(settings.parse(["predict.py", *words, "--top_k=2"]))
    rows, expected = rows_of(tmp_path / "a.csv"), rows_of(tmp_path / "p.csv")
    assert [row["name"] for row in rows] == names.tolist() == [row["name"] for row in expected]
    assert [row["label"] for row in rows] == [row["label"] for row in expected]
    assert [row["answer"] for row in rows] == [row["class"] for row in expected]
    for row, other in zip(rows, expected, strict=True):
        assert float(row["probability"]) == pytest.approx(float(other["probability"]), abs=1e-5)
    checkpoint, tensors = trained.choose(run_folder.find(run), "auto")
    _, last = flat(trained.load(checkpoint, tensors))[-1]
    assert last(tf.constant(x)).numpy().argmax(1).tolist() == [
        ["cat", "dog"].index(row["class"]) for row in expected
    ]


def test_bad_picture_is_a_row_of_nan(run, data, tmp_path):
    mixed = guide.drawings(tmp_path / "mixed", "cat dog", 2)
    (mixed / "cat" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 of 20 have no answer, all others are in .*a\.npy"):
        embed(run, mixed, tmp_path / "a.npy")
    x, rows = np.load(tmp_path / "a.npy"), rows_of(tmp_path / "a.csv")
    assert np.isnan(x).all(1).tolist() == [True] + [False] * 19
    assert [bool(row["error"]) for row in rows] == [True] + [False] * 19
    assert rows[0]["answer"] == rows[0]["probability"] == ""


def test_one_picture_without_a_label(run, tmp_path):
    Image.new("L", (9, 7), 90).save(tmp_path / "one.png")
    embed(run, tmp_path / "one.png", tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").shape == (1, 50)
    assert rows_of(tmp_path / "a.csv")[0]["label"] == ""


@pytest.mark.parametrize("name", ["", "a.csv", "-"])
def test_other_outputs_are_refused(run, data, name):
    with pytest.raises(UsageError, match=r"--output must end in \.npz or \.npy"):
        embed(run, data, name)


def test_existing_list_is_kept(run, data, tmp_path):
    (tmp_path / "a.csv").write_text("mine")
    with pytest.raises(UsageError, match=r"a\.csv is there already"):
        embed(run, data, tmp_path / "a.npz")
    assert (tmp_path / "a.csv").read_text() == "mine"
    assert not (tmp_path / "a.npz").exists()


def test_model_without_a_dense_layer_is_refused():
    with pytest.raises(RunError, match="no features in RUN - "):
        extractor(Sequential({"relu": relu}), "RUN")
