"""The commands to type next, wherever a training was started."""

import sys
from pathlib import Path

import pytest

from hw2.jobs import outcome, program

KERNEL = ["/usr/lib/python3/site-packages/ipykernel_launcher.py", "-f", "/run/kernel-1.json"]


@pytest.mark.fault(167)
@pytest.mark.parametrize("argv", [KERNEL, [""], ["-c"], ["my_own_training.py"], []])
def test_commands_of_a_notebook_are_those_of_hw2(monkeypatch, argv):
    monkeypatch.setattr(sys, "argv", argv)
    evaluate, report, _, train = outcome.next_commands(Path("runs/x"), "", 2)
    assert evaluate[1:5] == ["-m", "hw2", "eval", "runs/x"]
    assert report[1:4] == ["-m", "hw2", "report"]
    assert train[1:4] == ["-m", "hw2", "train"]
    assert program.words() == "-m hw2 train"


def test_commands_of_a_script_are_its_own(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/src/multi_gpu_train.py"])
    evaluate, *_, train = outcome.next_commands(Path("runs/x"), "", 2)
    assert evaluate[1] == "/src/eval.py"
    assert train[1] == "/src/multi_gpu_train.py"
    assert program.words() == "multi_gpu_train.py"
