"""The scale of arrays and the spelling of classes, from training to evaluation and prediction."""

import json

import numpy as np
import pytest

from hw2.config import settings
from hw2.errors import DataError, RunError
from hw2.jobs import evaluate, predict
from hw2.runs import checkpoints

NFC, NFD = "caf\u00e9", "cafe\u0301"


def save(folder, name, white=1.0):
    """Grey pictures in [0, white] of two classes, dark and bright, written in either form."""
    rng = np.random.default_rng(len(name))
    labels = np.arange(24) % 2
    images = rng.random([24, 12, 12], np.float32) / 2 + labels[:, None, None] / 2
    images[0, 0, 0] = 1
    np.save(folder / f"{name}.npy", images * np.float32(white))
    np.save(folder / f"{name}_labels.npy", np.array([NFC, "tea"])[labels])
    return folder / f"{name}.npy"


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    return tmp_path_factory.mktemp("fault_data")


@pytest.fixture
def trained(where, train):
    """A run on floats in [0, 1], made once."""
    path = where / "train.npy"
    flags = [f"--train_data_path={path}", "--max_steps=2"]
    if not path.exists():
        save(where, "train")
        train(where / "run", *flags)
    return where / "run", flags


def parsed(script, run, *flags):
    return settings.parse([script, f"--checkpoint_dir={run}", *flags])


@pytest.mark.fault(77)
def test_the_scale_is_in_the_checkpoint_and_holds_for_all_that_follows(trained, where, capsys):
    run, _ = trained
    capsys.readouterr()
    [newest] = checkpoints.listing(run / "checkpoints")[-1:]
    state = json.loads((newest / "state.json").read_text())
    assert state["identity"]["scale"] == {"kind": "float", "white": 1.0}
    test = save(where, "test")
    images = np.load(test)
    images[3, 0, 0] = np.nextafter(np.float32(1), np.float32(2))
    np.save(test, images)
    evaluate.evaluate(parsed("eval.py", run, f"--test_data_path={test}"))
    near = json.loads(capsys.readouterr().out.splitlines()[-1])
    images[3, 0, 0] = 1
    np.save(test, images)
    evaluate.evaluate(parsed("eval.py", run, f"--test_data_path={test}"))
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == near

    other = save(where, "other", 255)
    with pytest.raises(DataError, match="beyond 1, which is white"):
        evaluate.evaluate(parsed("eval.py", run, f"--test_data_path={other}"))
    with pytest.raises(DataError, match="24 of 24 have no answer"):
        predict.predict(parsed("predict.py", run, f"--data={other}", f"--output={where}/a.csv"))
    evaluate.evaluate(parsed("eval.py", run, f"--test_data_path={other}", "--levels=255"))


@pytest.mark.fault(77)
def test_training_refuses_a_test_set_on_another_scale(trained, where, train):
    _, flags = trained
    other = save(where, "brighter", 255)
    with pytest.raises(DataError, match="beyond 1, which is white"):
        train(where / "none", *flags, f"--test_data_path={other}")
    assert not (where / "none").exists()


@pytest.mark.fault(85)
def test_a_run_resumes_where_its_classes_are_spelt_in_the_other_form(trained, where, train):
    run, flags = trained
    labels = np.load(where / "train_labels.npy")
    np.save(where / "train_labels.npy", np.where(labels == NFC, NFD, labels))
    train(run, *flags, "--max_steps=3")
    np.save(where / "train_labels.npy", labels)
    newest = checkpoints.listing(run / "checkpoints")[-1]
    state = json.loads((newest / "state.json").read_text())
    assert state["identity"]["class_names"] == [NFC, "tea"]


@pytest.mark.fault(77)
def test_a_run_does_not_resume_on_another_scale(trained, where, train):
    run, flags = trained
    path = save(where, "scaled", 255)
    with pytest.raises(RunError, match=r"scale of the arrays was .*1.0.*, is .*255.0"):
        train(run, *flags, "--max_steps=4", f"--train_data_path={path}", "--accept_new_data")
