"""Whole runs with groups, near-duplicates, a given split, and pictures that are fitted whole."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from hw2.config import settings
from hw2.errors import DataError, RunError, UsageError
from hw2.input.files.duplicates import DIGEST
from hw2.input.scanning import hashes
from hw2.jobs import evaluate, predict
from hw2.jobs import train as training
from hw2.models import MODELS
from tests.training.tiny import FLAGS, tiny

FILMS = r"--group_by=(film\d)_"
CUT = ["--max_steps=2", "--save_checkpoint_steps=2", "--batch_size=8", "--validation_fraction=0.3"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(MODELS, "tiny", tiny)


@pytest.fixture
def data(tmp_path):
    """Two classes of frames of six films each, wide pictures of noise."""
    rng = np.random.default_rng(0)
    for name in ("red", "blue"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for film in range(6):
            for frame in range(4):
                pixels = rng.integers(0, 256, (10, 30, 3), np.uint8)
                path = tmp_path / "data" / name / f"film{film}_{frame}.png"
                Image.fromarray(pixels).save(path)
    return tmp_path / "data"


def train(run, *flags):
    words = [*FLAGS, *CUT, f"--log_path={run}", *map(str, flags)]
    training.train(settings.parse(["train.py", *words]))


def rows(run):
    with (run / "split.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def films(run):
    """The films of each part."""
    found = {"train": set(), "validation": set()}
    for row in rows(run):
        found[row["part"]].add(row["name"].split("/")[1][:5])
    return found["train"], found["validation"]


def test_films_stay_together_and_the_run_keeps_how(data, tmp_path, capsys):
    run = tmp_path / "run"
    train(run, f"--train_data_path={data}", FILMS)
    one, other = films(run)
    assert one
    assert other
    assert not one & other
    assert "6 groups by --group_by" in capsys.readouterr().err
    assert FILMS in (run / "flags.cfg").read_text()
    train(run, f"--train_data_path={data}", FILMS, "--max_steps=3")
    with pytest.raises(RunError, match=r"group_by was '\(film.* is ''"):
        train(run, f"--train_data_path={data}")

    # New frames of a film, and a film that is new.
    for name in ("film0_9.png", "film5_9.png", "film7_0.png"):
        shutil.copy(data / "red" / "film0_0.png", data / "red" / name)
        pixels = np.random.default_rng(len(name)).integers(0, 256, (10, 30, 3), np.uint8)
        Image.fromarray(pixels + np.uint8(name[4] == "5")).save(data / "red" / name)
    (data / "red" / "film7_0.png").unlink()
    train(run, f"--train_data_path={data}", FILMS, "--max_steps=4", "--accept_new_data")
    assert len(rows(run)) == 50
    assert not set.intersection(*films(run))


def test_a_film_in_training_and_test_is_refused(data, tmp_path, capsys):
    test = shutil.copytree(data, tmp_path / "test")
    for number, path in enumerate(sorted(test.rglob("*.png"))):
        rng = np.random.default_rng(1000 + number)
        Image.fromarray(rng.integers(0, 256, (10, 30, 3), np.uint8)).save(path)
    flags = [f"--train_data_path={data}", f"--test_data_path={test}", FILMS]
    with pytest.raises(DataError, match=r"^the same groups in .* - 6: film0, film1.*allow_leak$"):
        train(tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()

    train(tmp_path / "run", *flags, "--allow_leak")
    capsys.readouterr()
    words = [f"--checkpoint_dir={tmp_path / 'run'}", f"--test_data_path={test}"]
    evaluate.evaluate(settings.parse(["eval.py", *words]))
    told = capsys.readouterr().err
    known, _ = films(tmp_path / "run")
    count = 8 * len(known)
    assert f"warning: {count} of these 48 pictures are of groups" in " ".join(told.split())


def test_a_column_of_a_list_says_who_is_the_patient(data, tmp_path, capsys):
    names = sorted(path.relative_to(tmp_path).as_posix() for path in data.rglob("*.png"))
    lines = [f"{name},{name.split('/')[1]},p{at % 7}" for at, name in enumerate(names)]
    (tmp_path / "list.csv").write_text("\n".join(["file,class,Patient", *lines]))
    run, flags = tmp_path / "run", [f"--train_data_path={tmp_path / 'list.csv'}"]
    with pytest.raises(DataError, match="expected the header file,class, got"):
        train(run, *flags)
    with pytest.raises(DataError, match="expected the header file,class, got"):
        train(run, *flags, "--group_by=column:doctor")
    train(run, *flags, "--group_by=column:patient")
    patients = {part: set() for part in ("train", "validation")}
    for row in rows(run):
        patients[row["part"]].add(names.index(row["name"]) % 7)
    assert patients["train"]
    assert patients["validation"]
    assert not patients["train"] & patients["validation"]
    # Evaluation and prediction read the list as training did.
    capsys.readouterr()
    evaluate.evaluate(settings.parse(["eval.py", f"--checkpoint_dir={run}"]))
    assert json.loads(capsys.readouterr().out)["num_examples"] == sum(
        row["part"] == "validation" for row in rows(run)
    )
    words = [f"--checkpoint_dir={run}", f"--data={tmp_path / 'list.csv'}"]
    predict.predict(settings.parse(["predict.py", *words, f"--output={tmp_path / 'a.csv'}"]))
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 49


def test_copies_that_look_alike_are_on_one_side(data, tmp_path):
    pytest.importorskip("imagehash")
    for path in sorted(data.rglob("film[0-2]_*.png")):
        image = Image.open(path)
        file = io.BytesIO()
        image.resize((60, 20), Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
        path.with_name(f"copy-{path.stem}.jpg").write_bytes(file.getvalue())
    run, flags = tmp_path / "run", [f"--train_data_path={data}"]
    train(run, *flags, "--group_by=near_duplicates")
    part = {row["name"].replace("copy-", "")[:-4]: set() for row in rows(run)}
    for row in rows(run):
        part[row["name"].replace("copy-", "")[:-4]].add(row["part"])
    assert len(part) == 48
    assert all(len(parts) == 1 for parts in part.values())
    assert {"train", "validation"} == set.union(*part.values())


@pytest.mark.fault(174)
def test_an_image_that_cannot_be_read_now_is_tried_again(tmp_path):
    pytest.importorskip("imagehash")
    noise = np.random.default_rng(0).integers(0, 256, [2, *[hashes.SQUARE.side] * 2, 3], np.uint8)
    digests = np.array([b"one", b"two"], DIGEST)

    def away(index, size):
        raise DataError("bad picture in x - the disk is away")

    _, there = hashes.of(away, digests, cache_folder=str(tmp_path))
    assert not there.any()
    _, there = hashes.of(lambda i, size: noise[i], digests, cache_folder=str(tmp_path))
    assert there.all()
    _, there = hashes.of(away, digests, cache_folder=str(tmp_path))  # they are kept
    assert there.all()


def test_a_missing_library_is_told(data, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imagehash", None)
    with pytest.raises(UsageError, match=r"near-duplicates must have ImageHash.* pip install"):
        hashes.check()


def test_a_given_split_is_taken_and_holds(data, tmp_path):
    names = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.png"))
    parts = [f"{name},{'validation' if 'film3' in name else 'train'}" for name in names]
    given = tmp_path / "given.csv"
    given.write_text("\n".join(["name,part", *parts]))
    run, flags = tmp_path / "run", [f"--train_data_path={data}", f"--split_file={given}"]
    train(run, *flags, FILMS)
    assert films(run) == ({f"film{n}" for n in (0, 1, 2, 4, 5)}, {"film3"})
    given.write_text("\n".join(["name,part", *parts[::-1]]).replace("red/film3_0.png,v", "x,v"))
    with pytest.raises(DataError, match="no picture x in the data"):
        train(run, *flags, FILMS, "--max_steps=3")
    swapped = "\n".join(["name,part", *parts]).replace(
        "film0_1.png,train", "film0_1.png,validation"
    )
    given.write_text(swapped)
    with pytest.raises(RunError, match=r"^another split in .*given.csv - the run in .* has its"):
        train(run, *flags, FILMS, "--max_steps=3")
    with pytest.raises(DataError, match=r"^groups in two parts of .* - 1: film0; keep them on"):
        train(tmp_path / "other", *flags, FILMS)
    given.unlink()  # the run has its own copy
    train(run, *flags, FILMS, "--max_steps=3")


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_a_run_sees_the_whole_picture_and_keeps_how(data, tmp_path, fit, capsys):
    run, flags = tmp_path / "run", [f"--train_data_path={data}"]
    train(run, *flags, f"--fit={fit}", "--fill=128")
    state = json.loads(next((run / "checkpoints").glob("step-*/state.json")).read_text())
    assert state["identity"]["preprocessing"]["fit"] == fit
    with pytest.raises(RunError, match=f"fit was '{fit}', is 'crop'"):
        train(run, *flags, "--fill=128", "--max_steps=3")
    # The ends of a picture, which a central crop never shows, count.
    left = tmp_path / "ends"
    left.mkdir()
    pixels = np.full((10, 30, 3), 128, np.uint8)
    Image.fromarray(pixels).save(left / "grey.png")
    pixels[:, :8] = 0
    Image.fromarray(pixels).save(left / "dark.png")
    answers = tmp_path / "a.csv"
    words = [f"--checkpoint_dir={run}", f"--data={left}", f"--output={answers}"]
    predict.predict(settings.parse(["predict.py", *words]))
    dark, grey = (row.split(",")[2] for row in answers.read_text().splitlines()[1:])
    assert dark != grey
