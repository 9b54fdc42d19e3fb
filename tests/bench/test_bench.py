"""The comparison on the layers of a model: what it measures, and how it says so."""

import json
import os
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

from hw2.bench import layers, measure, memory
from hw2.bench.layers import Layer
from hw2.commands import bench
from hw2.models import MODELS
from hw2.ops import timing
from hw2.ops.geometry import Window
from tests.own_module import TEXT


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("mine", None)


def test_layers_of_a_model_are_read_off_its_graph():
    found = layers.convolutions(MODELS["resnet18"], (224, 224, 3), 1000)
    assert sum(layer.times for layer in found) == 20
    first = found[0]
    assert first.image == (224, 224, 3)
    assert first.filters == (7, 7, 3, 64)
    assert first.window.strides == (2, 2)
    assert str(first).startswith("224x224x3 7x7->64 s2x2")
    same = next(layer for layer in found if layer.filters == (3, 3, 64, 64))
    assert same.times == 4


def test_memory_is_that_of_tensors_alive_at_once():
    @tf.function(autograph=False)
    def step(x):  # each value 4 bytes
        patches = tf.concat([x, x, x], 0)  # 12 bytes a value
        total = tf.reshape(tf.reduce_sum(tf.reshape(patches, [3, 100]), 0), [10, 10])
        return tf.concat([total, total], 0)

    graph = step.get_concrete_function(tf.TensorSpec([10, 10])).graph
    assert memory.peak_bytes(graph) == 4 * (300 + 100)  # patches with their sum, then 100 with 200
    unknown = step.get_concrete_function(tf.TensorSpec([None, 10])).graph
    assert memory.peak_bytes(unknown) is None


def test_each_peer_has_errors_time_and_memory():
    layer = Layer((8, 9, 3), (3, 3, 3, 4), Window((3, 3), (2, 1), "VALID"), times=2)
    peers = [measure.Peer("mine:conv2d"), measure.Peer("mine:doubled"), measure.Peer("native")]
    peers += [measure.Peer("im2col", "mine:matmul"), measure.Peer("mine:raises")]
    found = measure.measure(layer, peers, batch=2, rounds=1)
    assert found["layer"] == "8x9x3 3x3->4 s2x1 VALID"
    right, doubled, native, rounded, failed = found["peers"].values()
    assert max(right["errors"].values()) < 1e-6
    assert max(native["errors"].values()) < 1e-6
    assert min(doubled["errors"].values()) > 0.05
    assert 1e-4 < rounded["errors"]["y"] < 1e-1
    assert right["mb"] > native["mb"] > 0
    assert right["ms"] > 0
    assert failed["failed"].startswith("mine:raises failed in mine.py:")
    sums = measure.totals([found])
    assert sums["mine:conv2d"]["ms"] == pytest.approx(2 * right["ms"], abs=1e-3)
    assert sums["mine:raises"] == {"failed": "failed on 1 of 1 layers"}


def test_the_command_prints_a_table_json_and_a_page(command, capsys, tmp_path):
    words = ["--model=simple_cnn", "--image_size=12", "--rounds=1", "--num_classes=2"]
    assert command("bench", "mine:conv2d", *words, "--output=page.html") == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"layer +by +y +dx +dw +ms +MB", lines[0])
    assert [line.split()[0] for line in lines[1::3]] == ["1", "1", "all"]
    page = (tmp_path / "page.html").read_text()
    assert page.count("<tr>") == len(lines)
    assert "mine:conv2d" in page
    assert "tf.nn" in page
    assert command("bench", "mine:conv2d", *words, "--output=page.html") == 1
    assert "--output=page.html is there already" in capsys.readouterr().err
    assert command("bench", "mine:conv2d", "mine:raises", *words, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert list(found["totals"]) == ["mine:conv2d", "mine:raises", "im2col", "tf.nn"]
    assert np.isfinite(found["totals"]["mine:conv2d"]["ms"])
    assert len(found["layers"]) == 2


def test_a_path_of_a_commands_own_begins_at_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    _, own_flags = bench.COMMAND.parse(["hw2 bench", "--output=~/page.html"])
    assert own_flags.output == "/home/ada/page.html"


def test_auto_takes_what_a_training_takes(command, monkeypatch):
    monkeypatch.setattr(layers, "convolutions", lambda *_: [])
    monkeypatch.setenv(timing.VARIABLE, "")
    assert command("bench", "auto") == 0
    assert os.environ[timing.VARIABLE] == ""
    assert command("bench", "im2col") == 0
    assert os.environ[timing.VARIABLE] == "rule"


def test_mistakes_of_the_command_line(command, capsys):
    for words, said in (
        (["absent:conv2d"], "no module absent"),
        (["absent"], "no algorithm absent - it must be MODULE:FUNCTION, or one of auto, im2col"),
        (["--model=absent"], "no model absent - it must be one of"),
    ):
        assert command("bench", *words) == 1
        assert said in capsys.readouterr().err
