"""The scripts as a user runs them: train, kill, go on, evaluate, on one device and on two."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
SMALL = [
    "--flagfile=config.cfg",
    "--image_size=8",
    "--crop_size=8",
    "--short_side=8",
    "--batch_size=16",
    "--max_steps=6",
    "--save_checkpoint_steps=3",
    "--log_frequency=2",
]


def start(script, *flags):
    return subprocess.Popen(
        [sys.executable, script, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "100"},
    )


def run(script, *flags, code=0):
    process = start(script, *flags)
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    return (json.loads(out.splitlines()[-1]) if code == 0 else out), err


def losses(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return {int(row["step"]): row["loss"] for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits [1]"
    result, err = run("train.py", *SMALL, f"--log_path={folder}")
    return folder, result, err


def test_train_ends_with_a_table_the_next_commands_and_one_json_line(trained):
    folder, result, err = trained
    assert result["log_path"] == str(folder)
    assert result["step"] == 6
    assert result["stop_reason"] == "reached step 6"
    assert 0 < result["val_top1"] <= 1
    assert "conv_stack1/conv1" in err
    assert "multiply-adds" in err
    assert f"eval.py --checkpoint_dir={folder}" in err
    assert "Traceback" not in err
    assert {p.name for p in folder.iterdir()} == {
        "checkpoints",
        "class_names.txt",
        "flags.cfg",
        "metrics.csv",
        "split.csv",
        "tensorboard",
    }
    assert (folder / "class_names.txt").read_text().split() == list("0123456789")
    assert list(losses(folder)) == [2, 3, 4, 6]
    with (folder / "split.csv").open() as file:
        parts = [row["part"] for row in csv.DictReader(file)]
    assert (parts.count("train"), parts.count("validation")) == (1438, 359)


def test_eval_gives_the_figure_of_the_training(trained):
    folder, result, _ = trained
    scores, err = run("eval.py", f"--checkpoint_dir={folder}", "--top_k=3", "--batch_size=50")
    assert scores["top1"] == result["val_top1"]
    assert scores["num_examples"] == 359
    assert (scores["k"], scores["weights"]) == (3, "ema")
    assert scores["step"] == result["best_step"]
    assert scores["top1"] <= scores["topk"] <= 1
    assert "on 359 pictures" in err
    raw, _ = run(
        "eval.py",
        f"--checkpoint_dir={folder}",
        "--weights=raw",
        "--checkpoint=last",
        "--num_examples=100",
    )
    assert (raw["weights"], raw["step"], raw["num_examples"]) == ("raw", 6, 100)
    lines = (folder / "eval" / "eval.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [scores, raw]


def test_a_finished_run_says_so_and_a_longer_one_goes_on(trained):
    folder, result, _ = trained
    again, err = run("train.py", *SMALL, f"--log_path={folder}")
    assert "already complete at step 6: reached step 6" in err
    assert again["val_top1"] == result["val_top1"]


def test_another_training_in_the_same_folder_is_refused(trained):
    folder, *_ = trained
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    _, err = run("train.py", *SMALL, f"--log_path={folder}", "--batch_size=32", code=4)
    assert "batch_size was 16, is 32; give --log_path a new folder" in err
    assert err.splitlines()[-1].startswith("error: another training in ")
    after = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert after.keys() == before.keys()


def test_a_folder_that_is_no_run_is_refused_and_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    _, err = run("train.py", *SMALL, f"--log_path={tmp_path}", code=4)
    assert "the folder is not empty and has no flags.cfg" in err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_killed_run_goes_on_and_ends_as_if_it_had_not_been(tmp_path):
    flags = [*SMALL, "--max_steps=60", "--log_frequency=1"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    process = start("train.py", *flags, f"--log_path={cut}")
    deadline = time.monotonic() + 120
    while not list((cut / "checkpoints").glob("step-*6")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 0 < len(losses(cut)) < 60
    result, err = run("train.py", *flags, f"--log_path={cut}")
    assert "going on from step" in err
    expected, _ = run("train.py", *flags, f"--log_path={whole}")
    assert losses(cut) == losses(whole)  # as text: bit for bit
    assert list(losses(cut)) == list(range(1, 61))
    assert result["val_top1"] == expected["val_top1"]
    weights = "checkpoints/step-00000060/tensors.safetensors"
    assert (cut / weights).read_bytes() == (whole / weights).read_bytes()


def test_two_devices_give_the_losses_of_one(trained, tmp_path):
    folder, *_ = trained
    result, _ = run(
        "multi_gpu_train.py", *SMALL, "--logical_devices=2", f"--log_path={tmp_path / 'two'}"
    )
    one, two = losses(folder), losses(tmp_path / "two")
    assert one.keys() == two.keys()
    np.testing.assert_allclose(
        [float(two[step]) for step in one], [float(one[step]) for step in one], rtol=1e-4
    )
    assert result["step"] == 6


def test_class_folders_train_and_are_evaluated_by_class_name(tmp_path):
    rng = np.random.default_rng(0)
    for name, count in {"red": 12, "green": 9, "blue": 3}.items():
        colour = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}[name]
        for i in range(count):
            size = (rng.integers(20, 60), rng.integers(20, 60), 3)
            picture = np.clip(rng.normal(colour, 30, size), 0, 255).astype(np.uint8)
            file = tmp_path / "data" / name / f"deep{i % 2}" / f"{i}.{('png', 'jpg')[i % 2]}"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file)
    (tmp_path / "data" / "readme.txt").write_text("not a picture")
    flags = [
        "--flagfile=config.cfg",
        "--section=folder",
        f"--train_data_path={tmp_path / 'data'}",
        "--image_size=16",
        "--short_side=20",
        "--crop_size=16",
        "--batch_size=8",
        "--max_steps=8",
        "--save_checkpoint_steps=4",
        f"--log_path={tmp_path / 'run'}",
    ]
    _, err = run("train.py", *flags)
    assert "24 pictures in 3 classes" in err
    names = (tmp_path / "run" / "class_names.txt").read_text().split()
    assert names == ["blue", "green", "red"]
    # A test set that lacks a class, so that positions differ: labels must go by name.
    test = tmp_path / "test"
    test.mkdir()
    for name in ("green", "red"):
        (test / name).symlink_to(tmp_path / "data" / name)
    scores, err = run("eval.py", f"--checkpoint_dir={tmp_path / 'run'}", f"--test_data_path={test}")
    assert scores["num_examples"] == 21
    assert "no picture of blue" in err
    assert scores["k"] == 3


@pytest.mark.parametrize(
    ("script", "flags", "code", "words"),
    [
        ("train.py", ["--train_data_path=nowhere"], 3, "no data in nowhere - no such folder"),
        ("train.py", ["--model=inception"], 1, "--model must be one of inception10, got"),
        ("train.py", ["--logical_devices=2"], 1, "use multi_gpu_train.py"),
        ("multi_gpu_train.py", ["--num_gpus=99"], 1, "--num_gpus=99 - this machine has "),
        (
            "multi_gpu_train.py",
            ["--logical_devices=3", "--batch_size=16"],
            1,
            "--batch_size must be a multiple of the 3 devices, got 16",
        ),
        ("eval.py", [], 1, "--checkpoint_dir must name a run folder, got nothing"),
        ("eval.py", ["--checkpoint_dir=docs"], 4, "no checkpoints in docs - checkpoints/ is"),
    ],
)
def test_mistakes_are_one_line_that_helps(script, flags, code, words, tmp_path):
    out, err = run(script, *flags, f"--log_path={tmp_path / 'run'}", code=code)
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert words in line
    assert "Traceback" not in err
    assert out == ""


def test_eval_waits_for_new_checkpoints(trained, tmp_path):
    folder, *_ = trained
    process = start(
        "eval.py",
        f"--checkpoint_dir={folder}",
        "--norun_once",
        "--eval_interval_secs=1",
        "--checkpoint=last",
        "--num_examples=20",
        f"--eval_dir={tmp_path}",
    )
    assert json.loads(process.stdout.readline())["step"] == 6
    run("train.py", *SMALL, f"--log_path={folder}", "--max_steps=9")
    assert json.loads(process.stdout.readline())["step"] == 9
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
