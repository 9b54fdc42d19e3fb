"""The scripts as a user runs them: train, kill, go on, evaluate, on one device and on two."""

import csv
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw2.models import MODELS
from hw2.runs import folder as run_folder

ROOT = Path(__file__).parents[2]
SMALL = [
    "--flagfile=config.cfg",
    "--model=simple_cnn",  # which is traced in a third of the time of inception10
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
    )


def run(script, *flags, code=0):
    process = start(script, *flags)
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    assert "\x1b" not in out + err  # plain lines where there is no terminal
    assert "\r" not in out + err
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
    assert re.search(r"^conv1 .*\nactivation1 ", err, re.MULTILINE)
    assert "multiply-adds" in err
    assert f"eval.py '--checkpoint_dir={folder}' --top_k=5" in err
    assert "Traceback" not in err
    assert {p.name for p in folder.iterdir()} == {
        ".lock",
        "calibration.json",
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
    flags = f"--log_path={folder}", "--top_k=3", "--batch_size=50"
    scores, err = run("eval.py", "--flagfile=config.cfg", *flags)
    assert scores["top1"] == result["val_top1"]
    assert scores["num_examples"] == 359
    assert (scores["k"], scores["weights"], scores["data"]) == (3, "ema", "validation")
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
    assert "already complete at step 6: --max_steps=6 is reached" in err
    assert again["val_top1"] == result["val_top1"]


def test_another_training_in_the_same_folder_is_refused(trained):
    folder, *_ = trained
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    _, err = run("train.py", *SMALL, f"--log_path={folder}", "--batch_size=32", code=4)
    assert "batch_size was 16, is 32; give a new --log_path" in err
    assert err.splitlines()[-1].startswith("error: another training in ")
    after = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    assert after == before


def test_a_folder_that_is_no_run_is_refused_and_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    _, err = run("train.py", *SMALL, f"--log_path={tmp_path}", code=4)
    assert "the folder is not empty and has no flags.cfg" in err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.fault(180)
def test_what_a_killed_start_left_behind_does_not_count(tmp_path):
    (tmp_path / ".flags.cfg.0123abcd.partial").write_text("--mod")
    run_folder.begin(tmp_path, "--model=tiny\n", ["a", "b"])
    assert (tmp_path / "flags.cfg").read_text() == "--model=tiny\n"


def test_two_devices_give_the_losses_of_one(trained, tmp_path):
    folder, *_ = trained
    result, _ = run(
        "multi_gpu_train.py", *SMALL, "--logical_devices=2", f"--log_path={tmp_path / 'two'}"
    )
    one, two = losses(folder), losses(tmp_path / "two")
    assert one.keys() == two.keys()
    one, two = ([float(value) for value in each.values()] for each in (one, two))
    # Adam's first steps are signs of gradients, so rounding grows tenfold at each step.
    np.testing.assert_allclose(two[0], one[0], rtol=1e-5)
    np.testing.assert_allclose(two, one, rtol=1e-3)
    assert result["step"] == 6


def test_class_folders_train_and_are_evaluated_by_class_name(tmp_path, command, capsys):
    rng = np.random.default_rng(0)
    for name, count in {"red": 12, "green": 9, "blue": 3}.items():
        colour = {"red": (200, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 200)}[name]
        for i in range(count):
            size = (rng.integers(20, 60), rng.integers(20, 60), 3)
            picture = np.clip(rng.normal(colour, 30, size), 0, 255).astype(np.uint8)
            file = tmp_path / "data" / name / f"deep{i % 2}" / f"{i}.{('png', 'jpg')[i % 2]}"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(file)
    data = tmp_path / "data"
    (data / "readme.txt").write_text("not a picture")
    flags = [
        "--flagfile=config.cfg",
        "--section=folder",
        "--model=simple_cnn",
        f"--train_data_path={data}",
        "--image_size=16",
        "--short_side=20",
        "--crop_size=16",
        "--batch_size=8",
        "--max_steps=8",
        "--save_checkpoint_steps=0",
        f"--log_path={tmp_path / 'run'}",
    ]
    _, err = run("train.py", *flags)
    assert "24 pictures in 3 classes" in err
    saved = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    assert saved == [f"step-0000000{step}" for step in (3, 6, 8)]  # 19 or so in batches of 8
    names = (tmp_path / "run" / "class_names.txt").read_text().split()
    assert names == ["blue", "green", "red"]

    # Of a test set that lacks the first class, positions differ, so labels must go by name.
    def scores_of(folder):
        assert command("eval", tmp_path / "run", f"--test_data_path={folder}") == 0
        out, err = capsys.readouterr()
        return json.loads(out.splitlines()[-1]), err

    everything, _ = scores_of(data)
    sums = []
    for present in (("green", "red"), ("blue", "green"), ("blue", "red")):
        test = tmp_path / "-".join(present)
        test.mkdir()
        for name in present:
            shutil.copytree(data / name, test / name)
        scores, err = scores_of(test)
        [absent] = {"blue", "green", "red"} - set(present)
        assert f"no picture of {absent}" in err
        sums.append(scores["loss"] * scores["num_examples"])
    assert (everything["num_examples"], everything["k"]) == (24, 3)
    assert sum(sums) == pytest.approx(2 * 24 * everything["loss"], rel=1e-5)  # each class twice


@pytest.mark.parametrize(
    ("script", "flags", "code", "words"),
    [
        ("train.py", ["--train_data_path=nowhere"], 3, "nowhere - no such folder"),
        pytest.param(
            *("train.py", ["--model=inception"], 1),
            "--model must be one of inception10, simple_cnn, ",
            marks=pytest.mark.slow,
        ),
        ("train.py", ["--logical_devices=2"], 1, "use multi_gpu_train.py"),
        pytest.param(
            *("multi_gpu_train.py", ["--num_gpus=99"], 1, "--num_gpus=99 - this machine has "),
            marks=pytest.mark.slow,
        ),
        (
            "multi_gpu_train.py",
            ["--logical_devices=3", "--batch_size=16"],
            1,
            "--batch_size must be a multiple of the 3 devices, got 16",
        ),
        ("train.py", ["--train_data_path="], 1, "--train_data_path must name the pictures"),
        pytest.param(
            *("train.py", ["--test_data_path=nowhere"], 3, "nowhere - no such folder"),
            marks=pytest.mark.slow,
        ),
        (
            "multi_gpu_train.py",
            ["--num_gpus=1", "--logical_devices=2"],
            1,
            "--num_gpus=1 - this machine has ",
        ),
        ("eval.py", [], 4, "it has no flags.cfg; give --checkpoint_dir the run folder of"),
        pytest.param(
            *("eval.py", ["--checkpoint_dir=docs"], 4, "no run in docs - it has no flags.cfg"),
            marks=pytest.mark.slow,
        ),
    ],
)
@pytest.mark.fault(72)
@pytest.mark.fault(73)
def test_mistakes_are_one_line_that_helps(script, flags, code, words, tmp_path):
    data = [] if script == "eval.py" else ["--train_data_path=digits"]
    out, err = run(script, *data, *flags, f"--log_path={tmp_path / 'run'}", code=code)
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert words in line
    assert "Traceback" not in err
    assert out == ""
    assert not (tmp_path / "run").exists()


def test_a_model_that_diverges_is_exit_5_and_leaves_no_checkpoint(tmp_path):
    flags = [
        *SMALL,
        "--learning_rate=1e30",
        "--save_checkpoint_steps=1",
        f"--log_path={tmp_path}/r",
    ]
    _, err = run("train.py", *flags, code=5)
    assert "in step 1 - the weights have diverged at learning rate 1e+30" in err
    assert not (tmp_path / "r" / "checkpoints").exists()


def test_a_run_goes_on_only_with_its_own_split(trained, tmp_path):
    flags = [*SMALL, f"--log_path={tmp_path / 'run'}"]
    shutil.copytree(trained[0], tmp_path / "run")
    (tmp_path / "run" / "split.csv").unlink()
    _, err = run("train.py", *flags, "--max_steps=9", code=3)
    remedy = "restore it, or start a new training with another --log_path"
    assert f"No such file or directory; {remedy}" in err


def test_eval_waits_for_new_checkpoints(trained, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder, symlinks=True)
    process = start(
        "eval.py",
        f"--checkpoint_dir={folder}",
        "--norun_once",
        "--eval_interval_secs=1",
        "--num_examples=20",
        f"--eval_dir={tmp_path / 'eval'}",
    )
    assert json.loads(process.stdout.readline())["step"] == 6
    run("train.py", *SMALL, f"--log_path={folder}", "--max_steps=9")
    assert json.loads(process.stdout.readline())["step"] == 9
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err


QUICK = {("inception10", 32), ("lenet5", 100)}


@pytest.mark.parametrize(
    ("model", "size"),
    [
        pytest.param(*case, marks=[] if case in QUICK else pytest.mark.slow)
        for case in itertools.product(MODELS, (32, 100))
    ],
)
def test_every_model_tries_everything_once(train, model, size, tmp_path, capsys):
    sides = [f"--{name}={size}" for name in ("image_size", "short_side", "crop_size")]
    train(tmp_path / "run", "--dry_run", f"--model={model}", *sides, "--batch_size=2")
    result = json.loads(capsys.readouterr().out)
    assert (result["dry_run"], result["step"]) == (True, 1)
    assert 0 <= result["val_top1"] <= 1
    assert not (tmp_path / "run").exists()
