"""Pictures of an explanation: one for each answer, and nothing of the user's is replaced."""

import json
import sys

import numpy as np
import pytest
from PIL import Image

from hw2.config import settings
from hw2.drawing import fonts
from hw2.errors import DataError, RunError, UsageError
from hw2.jobs import explain, predict, train
from hw2.jobs import model as trained
from hw2.jobs.explain import SIDE
from hw2.layers.dense import Dense
from hw2.layers.sequential import Sequential, flatten
from hw2.runs import folder as run_folder
from tests import guide


def call(run, data, folder, *flags):
    words = [f"--checkpoint_dir={run}", f"--data={data}", f"--explain={folder}", "--output=-"]
    predict.predict(settings.parse(["predict.py", *words, "--batch_size=8", *flags]))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_picture_for_each_answer(noise_run, noise, tmp_path, capsys):
    folder = tmp_path / "heat"
    words = [f"--checkpoint_dir={noise_run}", f"--data={noise}", f"--explain={folder}"]
    words += [f"--output={tmp_path / 'a.jsonl'}", "--batch_size=8"]
    predict.predict(settings.parse(["predict.py", *words]))
    result = json.loads(capsys.readouterr().out)
    assert result["num_explained"] == result["num_examples"] == 20
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    stems = [json.loads(line)["name"].replace("/", "_") for line in lines]
    expected = [f"{n:02}-{stem}" for n, stem in enumerate(stems)]
    assert names(folder) == expected
    page = np.asarray(Image.open(folder / expected[3]))
    assert page.shape[1] == 2 * SIDE + 8
    with Image.open(noise / "cat" / "3.png") as picture:
        middle = picture.crop((1, 0, 13, 12)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    error = np.abs(page[:SIDE, :SIDE].astype(int) - np.asarray(middle))
    assert np.median(error) <= 8  # of 255; the crop is scaled before it is cut
    assert page[SIDE:].min() < 100  # the caption
    hot = page[:SIDE, SIDE + 8 :].astype(int)
    assert (hot.max(2) - hot.min(2)).max() > 80  # colours


def test_pictures_of_several_labels_and_their_padding(tmp_path, monkeypatch, capsys):
    """The likeliest of all classes is explained, over the whole picture."""
    guide.drawings(tmp_path / "p", "a", 5)
    rows = [f"p/a/{n}.png,{('red', 'red;big', 'big')[n % 3]}" for n in range(10)]
    (tmp_path / "list.csv").write_text("\n".join(["file,labels", *rows]))
    flags = [*guide.CUT, "--model=simple_cnn", "--kernel_size=3", "--fit=pad", "--fill=255"]
    flags += ["--channels=1", f"--log_path={tmp_path / 'run'}"]
    monkeypatch.setattr(sys, "argv", ["train.py"])
    data = f"--train_data_path={tmp_path / 'list.csv'}"
    train.train(settings.parse(["train.py", data, *flags]))
    capsys.readouterr()
    call(tmp_path / "run", tmp_path / "list.csv", tmp_path / "heat")
    assert len(names(tmp_path / "heat")) == 10
    page = np.asarray(Image.open(tmp_path / "heat" / "0-p_a_0.png"))
    assert (page[:12, :SIDE] == 255).all()  # 14x12 pixels in a square
    assert np.ptp(page[SIDE // 2, :SIDE].astype(int)) > 100


def test_names_are_safe_and_differ():
    found = [
        explain.file_name(n, name, 2)
        for n, name in enumerate(
            ["a/1.png", "a_1.jpg", "../\udce9 \n.png", "3", "é" * 300 + ".png"]
        )
    ]
    assert found[:4] == ["00-a_1.png", "01-a_1.png", "02-.._.png", "03.png"]
    assert found[4].encode() == b"04-" + chr(233).encode() * 50 + b".png"
    assert explain.file_name(5, ".", 1) == "5-..png"


def test_a_bad_picture_has_none_and_what_is_there_is_kept(noise_run, noise, tmp_path, capsys):
    folder = tmp_path / "heat"
    folder.mkdir()  # an empty folder is in nobody's way
    mixed = guide.drawings(tmp_path / "mixed", "cat", 2)
    (mixed / "cat" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="1 of 10 have no answer"):
        call(noise_run, mixed, folder)
    assert names(folder) == [f"{n}-cat_{n}.png" for n in range(1, 10)]
    with pytest.raises(UsageError, match="heat is there already; give another, or --overwrite"):
        call(noise_run, noise / "dog" / "3.png", folder)
    call(noise_run, noise / "dog" / "3.png", folder, "--overwrite")
    assert names(folder) == ["0-3.png"]
    (folder / "4.png").write_bytes((noise / "dog" / "4.png").read_bytes())
    with pytest.raises(UsageError, match=r"holds something else than heat maps, 4\.png"):
        call(noise_run, noise, folder, "--overwrite")
    assert names(folder) == ["0-3.png", "4.png"]


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("pictures/heat", "heat is within .*pictures, whose pictures are classified"),
        ("file", "--explain must be a folder, .*file is none"),
        ("none/heat", "there is no folder .*none; make it"),
        ("out", "--output=.*a.csv is within --explain="),
    ],
)
def test_folders_that_are_refused(tmp_path, folder, words):
    for name in ("pictures", "out"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("mine")
    data, output = tmp_path / "pictures", tmp_path / "out" / "a.csv"
    with pytest.raises(UsageError, match=words):
        explain.check(str(tmp_path / folder), str(data), str(output), overwrite=True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_model_without_maps_is_refused(noise_run, tmp_path):
    checkpoint, _ = trained.choose(run_folder.find(noise_run), "auto")
    model = Sequential({"flatten": flatten, "linear": Dense(192, 2, rng=np.random.default_rng(0))})
    with (
        pytest.raises(RunError, match=r"no heat maps in .* at least 5x5 positions"),
        explain.opened(str(tmp_path / "heat"), model, checkpoint, ()),
    ):
        pass
    assert names(tmp_path) == []


def test_long_captions_are_cut():
    page = explain.drawn(
        np.zeros([SIDE, SIDE, 3], np.uint8),
        np.zeros([6, 6]),
        "50.0 %  " + "猫" * 99,
        fonts.Writer(["猫"], 15),
    )
    assert page.size == (2 * SIDE + 8, SIDE + 28)
