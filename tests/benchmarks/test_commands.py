"""Benchmarks from the command line, at small sizes; no time is judged."""

import json
import subprocess
import sys

import pytest

from tests.benchmarks.conftest import FOLDER


def test_conv_ops_sums_up():
    import conv_ops

    rows = [
        {"shape": "a", "auto": 2.0, "im2col": 1.0, "pointwise": "-"},
        {"shape": "b", "auto": 0.5, "im2col": 0.95, "pointwise": "-"},
    ]
    assert conv_ops._summary(rows, "auto", "") == {
        "part": "forward and gradients",
        "algorithm": "auto",
        "shapes": 2,
        "geometric mean": 1.0,
        "below 1.0": 1,
        "below 0.9": 1,
        "worst": 0.5,
        "of shape": "b",
    }
    assert conv_ops._summary(rows, "pointwise", "") == {}
    [behind] = conv_ops._behind(rows, ["auto", "im2col", "pointwise"], "")
    assert (behind["shape"], behind["auto"], behind["faster"]) == ("b", 0.5, "im2col")


def test_pictures_are_found_whatever_their_ending(tmp_path):
    import input_pipeline

    for name in ("a/1.jpeg", "b/2.JPG", "b/3.png", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    paths, labels = input_pipeline._labelled(tmp_path)
    assert [path.name for path in paths] == ["1.jpeg", "2.JPG", "3.png"]
    assert labels == [0, 1, 1]


def lines_of(program, *flags):
    """Runs a benchmark with --json, and returns what it prints."""
    words = [sys.executable, str(FOLDER / f"{program}.py"), *flags, "--json"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_conv_ops_runs(dtype):
    lines, _ = lines_of(
        "conv_ops",
        *("--shapes=drawn", "--count=2", "--rounds=1", "--seconds=0"),
        *(f"--dtype={dtype}", "--algorithms=auto,pointwise"),
    )
    assert lines[0]["benchmark"] == "machine"
    assert lines[0]["CPU"]
    assert "hw2's kernel" in lines[0]
    assert [line["layer"] for line in lines if "layer" in line] == ["drawn 1", "drawn 2"]
    assert {line["algorithm"] for line in lines if "algorithm" in line} >= {"auto"}


@pytest.mark.slow
def test_train_step_goes_on_without_what_there_is_not():
    lines, told = lines_of(
        "train_step",
        *("--batch=2", "--image_size=32", "--rounds=2", "--memory"),
        *("--peers=native,auto_bfloat16,no_such,torch", "--torch_python=/no/such/python"),
    )
    assert [line["peer"] for line in lines[1:]] == ["native", "auto_bfloat16"]
    assert all(line["peak MB"] > 100 for line in lines[1:])
    assert "left out: no_such ended with exit code 1\n" in told
    assert "left out: torch does not start: " in told


@pytest.mark.slow
def test_peaks_runs():
    lines, _ = lines_of("peaks", "--side=64", "--megabytes=8", "--rounds=2")
    assert [line["unit"] for line in lines[1:]] == ["GFLOP/s", "GFLOP/s", "GB/s"]
