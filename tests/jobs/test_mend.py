"""Mended labels: the list that comes of corrections trains as the data would, were they mended."""

import csv
import json

import numpy as np
import pytest

from hw2.errors import DataError, UsageError
from hw2.input import source
from tests import guide


@pytest.fixture
def folder(tmp_path):
    return guide.drawings(tmp_path / "pictures", "cat dog", 1)


@pytest.fixture
def arrays(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 1), np.uint8)
    np.save(tmp_path / "train_images.npy", images)
    (tmp_path / "train_labels.csv").write_text("label\ncat\ndog\ncat\ndog\ncat\ndog\n")
    return tmp_path


def corrections(path, text):
    path.write_text(text)
    return path


def test_a_folder_gets_a_list_in_which_the_suspects_are_corrected(
    folder, tmp_path, command, capsys
):
    found = corrections(
        tmp_path / "suspects.csv", "name,given,class\ncat/3.png,cat,dog\ndog/0.png,dog,cat\n"
    )
    output = folder / "labels.csv"
    assert command("mend", folder, found, f"--output={output}") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["mended"], result["labels"]) == (2, 20)
    before, after = source.read(folder), source.read(result["train_data_path"])
    assert (after.names, after.class_names) == (before.names, before.class_names)
    changed = np.flatnonzero(before.labels != after.labels)
    assert {before.names[index] for index in changed} == {"cat/3.png", "dog/0.png"}
    assert command("mend", folder, found, f"--output={output}") == UsageError.exit_code
    assert "is there already; give another, or --overwrite" in capsys.readouterr().err


def test_arrays_get_labels_of_their_own(arrays, command, capsys):
    found = corrections(arrays / "suspects.csv", "name,class\n00004,dog\n")
    output = arrays / "mended.csv"
    assert command("mend", arrays, found, f"--output={output}") == 0
    train = json.loads(capsys.readouterr().out)["train_data_path"]
    assert train == f"{arrays / 'train_images.npy'},{output}"
    assert source.read(train).labels.tolist() == [0, 1, 0, 1, 1, 1]
    with (arrays / "train_labels.csv").open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["cat", "dog"] * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,label\ncat/3.png,dog\n", "suspects.csv:1 - expected name and class"),
        ("name,class\ncat/33.png,dog\n", "suspects.csv:2 - no picture cat/33.png in the data"),
        ("name,class\ncat/3.png,dgo\n", "suspects.csv:2 - 'dgo' is no class of the data; remove"),
        ("name,class\ncat/3.png,\n", "suspects.csv:2 - '' is no class of the data"),
        ("name,class\ncat/3.png,dog\ncat/3.png,cat\n", "cat/3.png is in line 2 already"),
        ("name,given,class\ncat/3.png,dog,cat\n", "cat/3.png is of 'cat', not 'dog'"),
    ],
)
def test_a_line_that_is_wrong_is_named(folder, tmp_path, command, capsys, text, words):
    found = corrections(tmp_path / "suspects.csv", text)
    assert (
        command("mend", folder, found, f"--output={folder / 'labels.csv'}") == DataError.exit_code
    )
    assert words in capsys.readouterr().err
    assert not (folder / "labels.csv").exists()


def test_what_cannot_have_a_list_is_told(folder, tmp_path, command, capsys):
    found = corrections(tmp_path / "suspects.csv", "name,class\ncat/3.png,dog\n")
    assert command("mend", "digits", found, f"--output={tmp_path / 'a.csv'}") != 0
    assert "a built-in data set has labels of its own" in capsys.readouterr().err
    assert command("mend", folder, found, f"--output={tmp_path / 'a.csv'}") != 0
    assert f"give --output={folder / 'labels.csv'}" in capsys.readouterr().err
    assert command("mend", folder, f"--output={tmp_path / 'a.csv'}") == UsageError.exit_code
    assert "one list of corrections must be given, got none" in capsys.readouterr().err
