"""What a run folder tells agrees with what its training knew."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw2.config import settings
from hw2.report import record
from hw2.runs import checkpoints
from tests.small import train

SIDES = ["--image_size=8", "--short_side=8", "--crop_size=8", "--batch_size=8"]


def draw(folder, numbers):
    for name in "ab":
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            level = number + 100 * (name == "b")
            Image.fromarray(np.full([9, 9], level, np.uint8)).save(folder / name / f"{number}.png")


def plateau_of(run):
    return checkpoints.newest(run / "checkpoints").state["plateau"]


def test_the_best_step_is_of_the_images_that_the_run_trains_on_now(tmp_path):
    """Scores on the images before `--accept_new_data` are not compared with those after it."""
    data, run = tmp_path / "data", tmp_path / "run"
    draw(data, range(30))
    flags = [f"--train_data_path={data}", *SIDES, "--halve_after=2"]
    train(run, *flags)
    draw(data, range(30, 40))
    train(run, *flags, "--max_steps=14", "--accept_new_data")
    found, plateau = record.read(run), plateau_of(run)
    assert found.restarts == [6]
    assert found.best_step == plateau["best_step"] > 6
    assert 0.5 ** len(found.halvings) == plateau["scale"]
    assert {row["step"] for row in found.present_rows} == {8, 10, 12, 14}

    metrics = (run / "metrics.csv").read_text().splitlines()
    names = metrics[0].split(",")
    for number, line in enumerate(metrics):  # the highest of all was on the images before
        if line.startswith("2,"):
            values = dict(zip(names, line.split(","), strict=True)) | {"val_top1": "1.0"}
            metrics[number] = ",".join(values.values())
    (run / "metrics.csv").write_text("\n".join(metrics) + "\n")
    assert record.read(run).best_step == plateau["best_step"]


def test_a_damaged_checkpoint_does_not_hide_the_curves(digits_run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(digits_run, copy)
    for path in checkpoints.listing(copy / "checkpoints"):
        (path / checkpoints.STATE).write_text("{")
    assert record.read(copy).best_step == record.read(digits_run).best_step


@pytest.mark.parametrize("path", ["plain", "with # sign", ' "quoted" ', "花\n"])
def test_flags_are_read_as_they_were_written(tmp_path, path):
    text = settings.to_flagfile(settings.Config(train_data_path=path))
    (tmp_path / "flags.cfg").write_text(text, "utf-8")
    flags = record.read(tmp_path).flags
    assert flags["train_data_path"] == path
    assert flags["flip"] == "true"


def test_a_flag_of_another_version_is_kept(tmp_path):
    (tmp_path / "flags.cfg").write_text("# of a later version\n--from_2030=1  # why\n--flip\n?\n")
    assert record.read(tmp_path).flags == {"from_2030": "1", "flip": ""}
    assert record.read(Path(tmp_path / "nowhere")).flags == {}
