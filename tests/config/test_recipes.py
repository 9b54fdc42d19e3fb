"""The flagfiles of configs/, and the protocol that two of them are measured by."""

import csv
import functools
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hw2.config import advice, settings
from hw2.input.sources import builtin, idx
from hw2.input.transforms.preprocess import Preprocessing
from hw2.jobs import build, pretrained, settled, spec
from hw2.models import MODELS
from hw2.models.summary import measure
from hw2.models.weights.maps import ORIGINS
from hw2.models.weights.stored import Weights

ROOT = Path(__file__).parents[2]
RECIPES = sorted(ROOT.glob("configs/*.cfg"))
PROTOCOL = ROOT / "benchmarks" / "s3_protocol.py"
NAMES = {
    "cells",
    "fashion_mnist_best",
    "fashion_mnist_imbalanced",
    "fashion_mnist_swapped",
    "fashion_mnist_ten_minutes",
    "few_pictures",
    "s1_inception10",
    "s2_densenet",
    "s3_resnet9",
    "s3_se_resnet34",
    "s3_simple_cnn",
    "s4_transfer",
    "s4_waste_cnn",
    "two_garments",
}


def described(name, model, *, tensors):
    """What is known of weights that have not been fetched."""
    return Weights(model, ORIGINS[model].preprocessing, "", {})


def recipe(path):
    return settings.parse(["train.py", f"--flagfile={path}"])


def test_every_system_has_its_recipe():
    assert {path.stem for path in RECIPES} == NAMES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_one_that_a_training_takes(path, monkeypatch):
    found = recipe(path)
    monkeypatch.setattr(pretrained, "read", described)
    spec.check_model(found)
    assert found.log_path == f"runs/{path.stem}"
    grey = found.train_data_path == "fashion_mnist" or path.stem.startswith("s3_")
    prepared = Preprocessing(**spec.preprocessing_options(found, 1 if grey else 3))
    taken = inspect.signature(MODELS[found.model]).parameters
    options = {name: getattr(found, name) for name in spec.MODEL_OPTIONS if name in taken}
    make = functools.partial(MODELS[found.model], l2=found.l2, **options)
    if found.model != "inception_resnet_v2":  # tests/models/test_inception_resnet_v2.py
        side = prepared.image_size
        assert measure(make, (side, side, prepared.channels), 10)["layers"] >= 4
    count = 25 * found.batch_size
    last = build.last_step(found, count)
    rate = build.schedule(found, count, last)
    assert 0 < rate(0) <= found.learning_rate
    assert rate(last - 1) <= rate(build.steps_between(found, count))


@pytest.mark.fault(115)
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_halved_only_where_no_schedule_lowers_its_rate(path):
    given = recipe(path)
    found = settled.settled(given, None)
    assert (found.schedule == "constant") == (found.halve_after > 0)
    assert advice.notes(given, found) == build.notes(found, 1000 * found.batch_size, 10**9) == []


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_comment_of_a_recipe_gives_its_command_time_and_figure(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    comment = [line[2:] for line in path.read_text("utf-8").splitlines() if line.startswith("# ")]
    commands = [shlex.split(line) for line in comment if line.startswith("python train.py")]
    assert commands
    for command in commands:
        given = settings.parse(command[1:])
        assert given.train_data_path
        assert given.model == recipe(path).model
    words = " ".join(comment)
    if path.stem == "s4_transfer":  # which needs the weights of ImageNet
        assert "no figure yet" in words
    else:
        assert re.search(r"\d minutes", words)
        assert re.search(r"0\.\d\d", words)


def test_an_epoch_is_between_checkpoints_where_no_steps_are_given():
    every_epoch = settings.Config(save_checkpoint_steps=0, batch_size=32)
    assert build.steps_between(every_epoch, 25_000) == 782  # 781.25
    assert build.steps_between(settings.Config(save_checkpoint_steps=7), 25_000) == 7


@pytest.fixture(scope="module")
def fashion():
    if not idx.is_in(builtin.FASHION_FOLDER):
        why = f"no {builtin.FASHION_FOLDER}: apt-get install dataset-fashion-mnist"
        if os.environ.get("CI"):
            pytest.fail(f"{why}, which .ci/run does")
        pytest.skip(why)


def protocol(*arguments):
    return subprocess.run(
        [sys.executable, PROTOCOL, *map(str, arguments)], capture_output=True, text=True
    )


@pytest.mark.usefixtures("fashion")
def test_the_protocol_makes_its_files_and_scores_an_answer(tmp_path):
    folder = tmp_path / "s3"
    assert protocol("make", folder).returncode == 0
    again = protocol("make", folder)
    assert (again.returncode, again.stderr) == (1, f"{folder} is not empty - give a new folder\n")
    images, labels = idx.read_part(builtin.FASHION_FOLDER, "train")
    ours = np.load(folder / "train_images.npy")
    with open(folder / "train_labels.csv", newline="") as file:
        answers = [int(row["label"]) for row in csv.DictReader(file)]
    assert np.bincount(answers).tolist() == [3000] * 10
    numbers = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert len({image.tobytes() for image in ours}) == len(ours) == 30_000
    for image, label in zip(ours, answers, strict=True):
        assert numbers[image.tobytes()] == label
    images, labels = idx.read_part(builtin.FASHION_FOLDER, "test")
    np.testing.assert_array_equal(np.load(folder / "test" / "images.npy"), images)

    wrong = np.where(np.arange(10_000) < 500, (labels + 1) % 10, labels)
    rows = [f"{place},{label}" for place, label in enumerate(wrong)]
    answer = tmp_path / "answer.csv"
    answer.write_text("\n".join(["id,class", *reversed(rows)]) + "\n")
    assert protocol("score", answer).stdout == "top-1 0.9500\n"
    for lines, why in (
        (["id,label", *rows], "the header must be id,class."),
        (["id,class", *rows[1:]], "id 0 must have a class, it has none."),
        (["id,class", *rows, "0,1"], "id 0 must be in [0, 10000) and there once."),
    ):
        answer.write_text("\n".join(lines) + "\n")
        refused = protocol("score", answer)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == f"{answer} is no answer - {why}\n"
