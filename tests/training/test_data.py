"""What trains when some of the data cannot: errors by name, skipping, pictures in both parts.

Case NN of tests/input/sources/test_case_pictures.py and test_case_folders.py is test_case_NN_...
here, where it needs a training.
"""

import csv
import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from hw2.config import settings
from hw2.errors import DataError
from hw2.input import split
from hw2.jobs import evaluate as evaluation
from hw2.jobs import predict
from tests.input.handmade import png


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
        f"--on_bad_file=skip --max_bad_fraction=0.025:\n"
        f"  bad picture in {data}/red/bad.jpg - not an image (starts with "
        '"<html>"); replace or remove it'
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


@pytest.mark.fault(31)
def test_case_31_what_was_trained_on_is_no_test(train, data, tmp_path):
    (data / "red" / "bad.jpg").unlink()
    test = tmp_path / "test"
    for name in ("red", "blue"):
        (test / name).mkdir(parents=True)
        os.link(data / name / "3.png", test / name / "new name.png")
    flags = [f"--train_data_path={data}", f"--test_data_path={test}", "--max_steps=2"]
    with pytest.raises(DataError) as caught:
        train(tmp_path / "run", *flags)
    assert str(caught.value) == (
        f"the same pictures in {data} and {test} - 2: blue/3.png = blue/new name.png, "
        "red/3.png = red/new name.png; remove them from one, or --allow_leak"
    )
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


def evaluate(folder, *flags):
    evaluation.evaluate(settings.parse(["eval.py", f"--checkpoint_dir={folder}", *flags]))


def draw(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    Image.fromarray(levels).save(path, "PNG")


@pytest.fixture
def quiet_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("quiet_cache")
@pytest.mark.fault(11)
def test_case_11_sixteen_bits_train_score_and_predict_by_their_high_bytes(train, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for kind in ("colour", "grey"):
        for number in range(20):
            values = rng.integers(0, 2**16, [12, 15, 3]).astype(">u2")
            path = tmp_path / "{}" / kind / f"{number}.png"
            for depth in ("sixteen", "eight"):
                (tmp_path / depth / kind).mkdir(parents=True, exist_ok=True)
            sixteen, eight = str(path).format("sixteen"), str(path).format("eight")
            if kind == "grey":
                values = values[..., 0]
                Image.fromarray(values.astype(np.uint16)).save(sixteen)
            else:
                rows = b"".join(b"\0" + row.tobytes() for row in values)
                with open(sixteen, "wb") as file:
                    file.write(png(15, 12, depth=16, color=2, rows=rows))
            Image.fromarray((values >> 8).astype(np.uint8)).save(eight)
    flags = ["--max_steps=3", "--log_frequency=1", "--ema_decay=0", "--batch_size=8"]
    losses, scores, answers = [], [], []
    for depth in ("sixteen", "eight"):
        train(tmp_path / f"run-{depth}", f"--train_data_path={tmp_path / depth}", *flags)
        with (tmp_path / f"run-{depth}" / "metrics.csv").open(newline="") as file:
            losses.append([row["loss"] for row in csv.DictReader(file)])
        capsys.readouterr()
        data = f"--test_data_path={tmp_path / depth}"
        evaluate(tmp_path / "run-sixteen", data, f"--eval_dir={tmp_path / depth / 'eval'}")
        scores.append(json.loads(capsys.readouterr().out)["loss"])
        output = tmp_path / f"{depth}.csv"
        words = [f"--checkpoint_dir={tmp_path}/run-sixteen", f"--data={tmp_path / depth}"]
        predict.predict(settings.parse(["predict.py", *words, f"--output={output}"]))
        answers.append(output.read_text())
    assert len(losses[0]) == 3
    assert losses[0] == losses[1]
    assert scores[0] == scores[1]
    assert len(set(answers[0].splitlines())) == 41
    assert answers[0] == answers[1]


@pytest.mark.usefixtures("quiet_cache")
@pytest.mark.fault(27)
def test_case_27_names_of_any_bytes_train_and_come_back(train, tmp_path, capsys):
    classes = [b"\xff\xfe", "\N{CAT FACE}".encode(), b"-dash", b"a\nb", b'it\'s "it", ; =']
    root, run = os.fsdecode(os.fsencode(tmp_path) + b"/d\xfe"), tmp_path / "run"
    names = set()
    for number, name in enumerate(map(os.fsdecode, classes)):
        for index in range(6):
            os.makedirs(os.path.join(root, name), exist_ok=True)
            names.add(f"{name}/{name}{index}.png")
            path = os.path.join(root, name, f"{name}{index}.png")
            levels = np.full((12, 12, 3), 8 * number + index, np.uint8)
            Image.fromarray(levels).save(path)
    flags = [f"--train_data_path={root}", "--validation_fraction=0.5", "--batch_size=4"]
    train(run, *flags, "--max_steps=2")
    with (run / "split.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = list(csv.DictReader(file))
    assert {row["name"] for row in rows} == names
    assert {os.fsencode(row["class"]) for row in rows} == set(classes)
    lines = (run / "class_names.txt").read_bytes().split(b"\n")
    assert sorted(lines) == sorted([b"", *(name.replace(b"\n", b"\\n") for name in classes)])
    capsys.readouterr()
    evaluate(run, "--raw")
    assert json.loads(capsys.readouterr().out)["num_examples"] == 15
    path = run / "eval" / "per_class.csv"
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        scored = {os.fsencode(row["class"]): int(row["pictures"]) for row in csv.DictReader(file)}
    assert scored == dict.fromkeys(classes, 3)


@pytest.mark.fault(29)
def test_case_29_patterns_in_the_paths_of_data_and_run(train, data, tmp_path, capsys):
    (data / "red" / "bad.jpg").unlink()
    root, run = tmp_path / "a[0-9]*?" / "data", tmp_path / "run [x]*?{y}"
    shutil.copytree(data, root)
    flags = [f"--train_data_path={root}"]
    train(run, *flags, "--max_steps=2")
    train(run, *flags, "--max_steps=3")
    assert "resuming from step 2 of" in capsys.readouterr().err
    evaluate(run)
    assert json.loads(capsys.readouterr().out)["step"] in (2, 3)


@pytest.mark.usefixtures("quiet_cache")
@pytest.mark.fault(31)
def test_case_31_what_is_trained_on_does_not_validate(train, tmp_path):
    data = tmp_path / "data"
    for seed in range(24):
        draw(data / ("train", "val")[seed // 16] / "ab"[seed % 2] / f"{seed}.png", seed)
    shutil.copy(data / "train" / "a" / "0.png", data / "val" / "a" / "same.png")
    flags = [f"--train_data_path={data}", "--batch_size=4", "--max_steps=1"]
    with pytest.raises(DataError) as caught:
        train(tmp_path / "run", *flags)
    assert str(caught.value) == (
        f"the same pictures in two parts of {data} - 1: train/a/0.png = val/a/same.png; "
        "remove them from one, or --allow_leak"
    )
    assert not (tmp_path / "run").exists()
    train(tmp_path / "run", *flags, "--allow_leak")
    (data / "val" / "a" / "same.png").unlink()
    train(tmp_path / "other", *flags)


@pytest.mark.fault(34)
def test_case_34_data_that_changed_between_two_starts(train, data, tmp_path):
    """test_resume.py goes on with such data, by --accept_new_data."""
    (data / "red" / "bad.jpg").unlink()
    run = tmp_path / "run"
    train(run, f"--train_data_path={data}", "--max_steps=1")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    def moved(root, to):
        (root / "red" / "7.png").rename(root / to)

    def drawn(root):
        draw(root / "red" / "7.png", 98)
        os.utime(root / "red" / "7.png", ns=(1, 1))

    for number, (change, words) in enumerate(
        [
            (lambda root: (root / "red" / "7.png").unlink(), "39: 1 missing (red/7.png)"),
            (lambda root: draw(root / "red" / "more.png", 99), "41: 1 new (red/more.png)"),
            (
                lambda root: moved(root, "red/other.png"),
                "40: 1 missing (red/7.png), 1 new (red/other.png)",
            ),
            (
                lambda root: moved(root, "blue/007.png"),
                "40: 1 missing (red/7.png), 1 new (blue/007.png)",
            ),
            (drawn, "40: 1 of other content (red/7.png)"),
        ]
    ):
        root = tmp_path / f"data{number}"
        shutil.copytree(data, root)
        change(root)
        with pytest.raises(DataError) as caught:
            train(run, f"--train_data_path={root}", "--max_steps=2")
        assert str(caught.value) == (
            f"old split in {run}/split.csv - the data has changed, from 40 pictures to {words}; "
            "restore the data, resume with it as it is by --accept_new_data, or start a new "
            "training with another --log_path"
        )
    after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.fault(30)
def test_case_30_the_same_picture_in_two_classes_trains_where_few_do(train, data, tmp_path, capsys):
    (data / "red" / "bad.jpg").unlink()
    shutil.copy(data / "red" / "3.png", data / "blue" / "same.png")
    flags = [f"--train_data_path={data}", "--max_steps=1"]
    with pytest.raises(DataError) as caught:
        train(tmp_path / "run", *flags)
    assert str(caught.value) == (
        f"conflicting labels in {data} - 2 of 41 pictures lie in several classes, over "
        "--max_bad_fraction=0.01: blue/same.png = red/3.png; leave each in one class, "
        "or --skip_conflicts"
    )
    train(tmp_path / "run", *flags, "--max_bad_fraction=0.05")
    note = "  note: conflicting labels of 2 pictures: blue/same.png = red/3.png"
    assert note in capsys.readouterr().err.splitlines()
    with (tmp_path / "run" / "split.csv").open(newline="") as file:
        parts = {row["name"]: row["part"] for row in csv.DictReader(file)}
    assert parts["blue/same.png"] == parts["red/3.png"]  # else it would be a leak
    assert split.PARTS == ("train", "validation")


def test_a_real_tree_by_its_path_alone(train, stamps, tmp_path, capsys, monkeypatch):
    """Debian's stamps: sounds and texts between the pictures, and one picture in two classes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = tmp_path / "run"
    train(run, f"--train_data_path={stamps}", "--max_steps=2", "--save_checkpoint_steps=2")
    out, err = capsys.readouterr()
    assert json.loads(out)["step"] == 2
    [line] = [line for line in err.splitlines() if line.startswith(f"{stamps}: ")]
    count = int(line.split()[1].replace(",", ""))
    assert count > 700
    assert (
        "  note: conflicting labels of 2 pictures: military/fireman240a.png = "
        "people/fireman240a.png" in err.splitlines()
    )
    evaluate(run)
    scored = json.loads(capsys.readouterr().out)
    with (run / "split.csv").open(newline="") as file:
        parts = [row["part"] for row in csv.DictReader(file)]
    assert len(parts) == count
    assert scored["num_examples"] == parts.count("validation") > 100
