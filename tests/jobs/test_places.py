"""Where the data of a run are, and which of its own pictures score it."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from hw2.config import settings
from hw2.errors import DataError
from hw2.jobs import evaluate
from hw2.jobs import train as training
from hw2.models import MODELS
from tests.training.tiny import FLAGS, tiny


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """40 pictures in two classes."""
    folder, rng = tmp_path_factory.mktemp("data") / "first", np.random.default_rng(0)
    for name in ("dark", "light"):
        (folder / name).mkdir(parents=True)
        for i in range(20):
            image = rng.integers(0, 100, (9, 9, 3)) + 100 * (name == "light")
            Image.fromarray(image.astype(np.uint8)).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    flags = [f"--train_data_path={data}", f"--log_path={folder}", "--max_steps=2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS, "tiny", tiny)
        training.train(settings.parse(["train.py", *FLAGS, *flags]))
    return folder


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny)


def score(run, *flags):
    evaluate.evaluate(settings.parse(["eval.py", f"--checkpoint_dir={run}", *flags]))


@pytest.mark.fault(93)
@pytest.mark.parametrize("steps", [2, 3], ids=["complete", "resumed"])
def test_a_run_knows_the_newest_place_of_its_data(train, run, data, tmp_path, capsys, steps):
    moved, copy = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(run, copy, symlinks=True)
    shutil.copytree(data, moved)
    hidden = data.with_name("hidden")
    data.rename(hidden)
    try:
        with pytest.raises(DataError, match=f"^no data in {re.escape(str(data))} - the run in "):
            score(copy)
        with pytest.raises(DataError, match="give --train_data_path with the place where it is"):
            score(copy)
        train(copy, f"--train_data_path={moved}", f"--max_steps={steps}")
        capsys.readouterr()
        for flags in ([], ["--checkpoint=last"]):
            score(copy, *flags)
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["num_examples"] == 8
        assert f"--train_data_path={moved}\n" in (copy / "flags.cfg").read_text()
    finally:
        hidden.rename(data)


@pytest.mark.fault(93)
def test_the_flag_is_newer_than_the_folder(known, run, data, tmp_path):
    with pytest.raises(DataError, match="/nowhere - the run in"):
        score(run, "--train_data_path=/nowhere")


@pytest.mark.fault(125)
def test_pictures_of_the_training_that_score_it_are_counted(known, run, data, tmp_path, capsys):
    score(run, f"--test_data_path={data}")
    out, err = capsys.readouterr()
    assert json.loads(out)["num_trained_on"] == 32
    assert "warning: the run was trained on 32 of these 40 pictures, so the scores" in err
    assert " = dark/" in err or " = light/" in err

    others = tmp_path / "others"  # one of them under another name
    for name in ("dark", "light"):
        shutil.copytree(data / name, others / name)
        for file in list((others / name).iterdir()):
            pixels = np.asarray(Image.open(file)) ^ 1
            Image.fromarray(pixels).save(file)
    trained = next(
        line for line in (run / "split.csv").read_text().splitlines() if ",train," in line
    )
    first = trained.split(",")[0]
    shutil.copy(data / first, others / first.split("/")[0] / "new.png")
    score(run, f"--test_data_path={others}")
    assert json.loads(capsys.readouterr().out)["num_trained_on"] == 1

    score(run)
    out, err = capsys.readouterr()
    assert json.loads(out)["num_trained_on"] == 0
    assert "warning" not in err


@pytest.mark.fault(125)
def test_the_report_counts_them_too(known, run, data, tmp_path, capsys, command):
    page = tmp_path / "page.html"
    assert command("report", run, f"--test_data_path={data}", f"--output={page}") == 0
    assert "the run was trained on 32 of these 40 pictures" in page.read_text()


@pytest.mark.fault(117)
def test_tables_of_classes_and_files_are_safe_too(run, tmp_path):
    from hw2.jobs import data

    data.write_skipped(tmp_path / "bad.csv", [("=1+1.png", "empty")])
    assert (tmp_path / "bad.csv").read_text().splitlines()[1] == "'=1+1.png,empty"
