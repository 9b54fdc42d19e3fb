"""Run folders beside each other, bit by bit."""

import csv
import json

from safetensors.numpy import load_file

from hw2.runs import checkpoints


def learned(folder):
    """Rows of metrics.csv without the three columns that time."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [row[:4] + row[7:] for row in csv.reader(file)]


def last(folder):
    """Tensors and state of the last checkpoint, as bytes."""
    path = checkpoints.listing(folder / "checkpoints")[-1]
    tensors = load_file(path / "tensors.safetensors")
    state = json.loads((path / "state.json").read_text())
    return path.name, {name: value.tobytes() for name, value in tensors.items()}, state


def assert_same_run(one, other):
    """Weights, averages, optimizer, rate, early stopping and logged figures, to the last bit."""
    assert learned(one) == learned(other)
    (name, tensors, state), (name2, tensors2, state2) = last(one), last(other)
    assert name == name2
    assert tensors.keys() == tensors2.keys()
    assert [n for n in tensors if tensors[n] != tensors2[n]] == []
    assert state == state2
