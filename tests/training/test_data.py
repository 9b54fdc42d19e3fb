"""What trains when some of the data cannot: errors by name, skipping, pictures in both parts."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

from hw2.errors import DataError


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Two classes of 20 drawn pictures each; one file is no picture."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in ("red", "blue"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(folder / f"{i}.png")
    (tmp_path / "data" / "red" / "bad.jpg").write_text("<html>")
    return tmp_path / "data"


def test_a_bad_file_stops_the_training_or_is_left_out(train, data, tmp_path):
    flags = [f"--train_data_path={data}", "--max_steps=2", "--validation_fraction=0.3"]
    with pytest.raises(DataError) as caught:
        train(tmp_path / "run", *flags)
    assert str(caught.value) == (
        f"bad pictures in {data} - 1 of 41 cannot be used; replace or remove them, or "
        f"--on_bad_file=skip:\n  bad picture in {data}/red/bad.jpg - not an image (starts with "
        "b'<html>'); replace or remove it"
    )
    with pytest.raises(DataError, match=r"1 of 41 cannot be used, over --max_bad_fraction=0.01"):
        train(tmp_path / "run", *flags, "--on_bad_file=skip")
    assert not (tmp_path / "run").exists()

    train(tmp_path / "run", *flags, "--on_bad_file=skip", "--max_bad_fraction=0.1")
    with (tmp_path / "run" / "skipped.csv").open() as file:
        header, row = csv.reader(file)
    assert header == ["name", "reason"]
    assert row[0] == "red/bad.jpg"
    assert "not an image" in row[1]
    assert (data / "red" / "bad.jpg").read_text() == "<html>"


def test_what_was_trained_on_is_no_test(train, data, tmp_path):
    (data / "red" / "bad.jpg").unlink()
    test = tmp_path / "test"
    for name in ("red", "blue"):
        (test / name).mkdir(parents=True)
        os.link(data / name / "3.png", test / name / "new name.png")
    flags = [f"--train_data_path={data}", f"--test_data_path={test}", "--max_steps=2"]
    with pytest.raises(DataError, match=r"the same pictures in .* - 2: blue/3.png = blue/new name"):
        train(tmp_path / "run", *flags)
    train(tmp_path / "run", *flags, "--allow_leak")


def test_small_pictures_and_empty_classes_by_flag(train, data, tmp_path):
    (data / "red" / "bad.jpg").unlink()
    flags = [f"--train_data_path={data}", "--max_steps=2"]
    with pytest.raises(DataError, match=r"40 of 40 cannot be used"):
        train(tmp_path / "run", *flags, "--min_size=13")
    with pytest.raises(DataError, match=r"too many pixels \(144 > limit 143; --max_pixels\)"):
        train(tmp_path / "run", *flags, "--max_pixels=143")
    (data / "green").mkdir()
    with pytest.raises(DataError, match=r"no picture in green; fill or remove them, or --allow"):
        train(tmp_path / "run", *flags)
    train(tmp_path / "run", *flags, "--allow_empty_class")
    assert (tmp_path / "run" / "class_names.txt").read_text().split() == ["blue", "green", "red"]
