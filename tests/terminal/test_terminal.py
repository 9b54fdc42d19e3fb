"""What the commands print: on a terminal of 80 columns, without colours, and into a file."""

import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.terminal.screen import COLOUR, ROOT, show

FLAGS = ["--train_data_path=digits", "--model=simple_cnn", "--batch_size=32", "--log_frequency=1"]
FLAGS += ["--image_size=16", "--short_side=16", "--crop_size=16", "--save_checkpoint_steps=3"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    return folder, show("train.py", *FLAGS, "--max_steps=6", f"--log_path={folder}")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("a folder whose name is longer than what is left beside a bar")
    for name in ("even", "odd"):
        (folder / name).mkdir()
        for number in range(4):
            pixels = np.random.default_rng([number, name == "odd"]).integers(0, 255, (16, 16, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def test_training_has_a_tree_a_bar_and_a_table(trained):
    folder, shown = trained
    assert max(map(len, shown.lines)) <= 80
    assert "…" not in shown.screen
    assert COLOUR.search(shown.screen)
    assert any("━" in line and line.rstrip().endswith("left") for line in shown.lines)
    text = "\n".join(shown.lines)
    # patches: 12*12 of 25 values, then 2*2 of 250; 4 bytes each, 32 pictures
    assert [line.split() for line in text.splitlines() if line.startswith(("conv", "total"))] == [
        ["conv1", "12x12x10", "260", "36,000", "0.5", "MB"],
        ["conv2", "2x2x20", "5,020", "20,000", "0.1", "MB"],
        ["total", "6,840", "57,500", "0.6", "MB"],
    ]
    assert "step 3/6  validation: top-1 " in text
    assert re.search(r"stopped because +reached step 6", text)
    assert json.loads(shown.out)["log_path"] == str(folder)  # not past the pipe to the terminal


def test_next_commands_are_as_a_shell_reads_them(trained):
    folder, shown = trained
    after = "\n".join(shown.lines).partition("next:\n")[2]
    [first, *_] = after.replace("\\\n", "").splitlines()
    script = f'for word in {first}; do echo "$word"; done'
    words = subprocess.run(["sh", "-c", script], capture_output=True, text=True).stdout
    assert words.split("\n")[1:4] == ["eval.py", f"--checkpoint_dir={folder}", "--top_k=5"]


@pytest.fixture(scope="module")
def without_colours(trained, pictures):
    """Every command with `NO_COLOR`, two at a time."""
    folder, _ = trained
    commands = {
        "train": ["train.py", *FLAGS, "--max_steps=7", f"--log_path={folder}"],
        "eval": ["eval.py", f"--checkpoint_dir={folder}"],
        "predict": ["predict.py", f"--checkpoint_dir={folder}", f"--data={pictures}", "--output=-"],
        "models": ["-m", "hw2", "models", "densenet_fine", "--image_size=32"],
        "scan": ["-m", "hw2", "scan", pictures, "--no_cache"],
    }
    with ThreadPoolExecutor(2) as pool:
        shown = pool.map(
            lambda name: show(*commands[name], piped=name not in ("models", "scan"), NO_COLOR="1"),
            commands,
        )
        return dict(zip(commands, shown, strict=True))


@pytest.mark.parametrize("command", ["train", "eval", "predict", "models", "scan"])
def test_without_colours_at_80_columns(without_colours, command):
    shown = without_colours[command]
    assert max(map(len, shown.lines)) <= 80
    assert not COLOUR.search(shown.screen), repr(shown.screen)


def test_answers_pass_by_the_bar_into_a_pipe(without_colours):
    shown = without_colours["predict"]
    assert any("classifying" in line and "8/8" in line for line in shown.lines)
    header, *rows = shown.out.splitlines()
    assert header.startswith("name,")
    assert len(rows) == 8
    assert "0.png" not in shown.screen


def test_in_a_file_there_are_lines_alone(pictures):
    words = [sys.executable, "-m", "hw2", "scan", pictures, "--no_cache"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, check=True)
    assert b"\x1b" not in done.stdout + done.stderr
    assert b"\r" not in done.stdout + done.stderr
    assert done.stdout.decode().splitlines()[0] == str(pictures)  # whole, in spite of its length


def test_a_terminal_that_cannot_redraw_gets_lines_alone(pictures):
    words = ["-m", "hw2", "scan", pictures, "--no_cache"]
    assert "\x1b" not in show(*words, piped=False, TERM="dumb").screen
