"""Algorithms chosen by a clock, which the tests set themselves: what is kept, and by whom."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from hw2.ops import conv, geometry, timing
from hw2.ops.direct import cache

W = tf.zeros([3, 3, 4, 6])
LAYER = "auto float32 8x7x4 3x3x4x6 s1x1 d1x1 SAME"


def images(count):
    return tf.TensorSpec([count, 8, 7, 4])


def chosen(count, mode="auto"):
    return conv.chosen(images(count), W, geometry.window((3, 3)), mode)


@pytest.fixture
def clock(tmp_path, monkeypatch):
    """Lets the clock decide, for "winograd"; lists what was measured."""
    measured = []

    def measure(x, w, window, candidates, by_rule):
        measured.append((x.shape[0], sorted(candidates)))
        return "winograd"

    monkeypatch.setenv(timing.VARIABLE, "")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    monkeypatch.setattr(timing, "_measure", measure)
    for name, value in (("_given", {}), ("_taken", {}), ("_made", {}), ("_of_machine", None)):
        monkeypatch.setattr(timing, name, value)
    return measured


def in_graph(call):
    """What a call returns inside of a graph, where convolutions may be measured."""
    found = []
    with tf.Graph().as_default():
        found.append(call())
    return found[0]


def test_a_convolution_is_measured_once_in_a_graph(clock):
    assert chosen(32) == "direct"  # eagerly, by rule
    assert [in_graph(lambda: chosen(32)) for _ in range(2)] == ["winograd"] * 2
    tiles = [f"direct_winograd{tile}" for tile in (2, 3, 4, 5)]
    assert clock == [(32, ["direct", *tiles, "im2col", "winograd"])]
    assert chosen(32) == "winograd"  # what is known holds outside of graphs too


def test_fewer_images_take_the_choice_of_more(clock):
    in_graph(lambda: chosen(32))
    assert in_graph(lambda: chosen(7)) == "winograd"
    assert len(clock) == 1
    in_graph(lambda: chosen(64))
    assert [count for count, _ in clock] == [32, 64]


def test_patches_of_a_gigabyte_are_not_timed_beside_the_kernel(clock):
    def timed(count):
        spec, filters = tf.TensorSpec([count, 224, 224, 64]), tf.zeros([3, 3, 64, 8])
        in_graph(lambda: conv.chosen(spec, filters, geometry.window((3, 3)), "auto"))
        return clock.pop()[1]

    assert "im2col" in timed(8)  # 0.9 GB
    assert "im2col" not in timed(32)  # 3.7 GB


def test_fastest_may_be_tensorflows(clock):
    in_graph(lambda: chosen(32, "fastest"))
    assert "native" in clock[0][1]


def test_the_next_process_reads_what_this_one_wrote(clock, tmp_path, monkeypatch):
    in_graph(lambda: chosen(32))
    content = json.loads((tmp_path / "choices.json").read_text())
    assert list(content.values()) == [{f"{LAYER} of 32": "winograd"}]
    assert not list(tmp_path.glob("*.tmp"))
    monkeypatch.setattr(timing, "_made", {})
    monkeypatch.setattr(timing, "_of_machine", None)
    assert in_graph(lambda: chosen(32)) == "winograd"
    assert len(clock) == 1
    assert timing.choices() == {f"{LAYER} of 32": "winograd"}


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', "\0"])
def test_a_damaged_file_is_as_none(clock, tmp_path, content):
    (tmp_path / "choices.json").write_text(content)
    assert in_graph(lambda: chosen(32)) == "winograd"
    assert len(json.loads((tmp_path / "choices.json").read_text())) == 1


def test_a_cache_that_cannot_be_written_is_done_without(clock, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "x"))
    assert in_graph(lambda: chosen(32)) == "winograd"


def test_a_resumed_run_keeps_its_choices(clock, monkeypatch):
    timing.use({f"{LAYER} of 32": "im2col", f"{LAYER} of 16": "no longer there"})
    assert in_graph(lambda: chosen(32)) == "im2col"
    assert clock == []
    assert in_graph(lambda: chosen(16)) == "winograd"
    assert timing.choices()[f"{LAYER} of 32"] == "im2col"
    monkeypatch.setenv(timing.VARIABLE, "rule")
    assert chosen(32) == "im2col"
    assert chosen(16) == "direct"


def test_unknown_shapes_are_chosen_by_rule(clock):
    assert in_graph(lambda: chosen(None)) == "direct"
    assert clock == []


def test_what_there_is_no_memory_for_is_not_chosen():
    native = conv.ALGORITHMS["native"]

    def fail():
        raise MemoryError  # to TensorFlow a ResourceExhaustedError, for which it would wait 10 s

    def too_large(x, w, window):
        return native(x, w, window) + tf.ensure_shape(tf.numpy_function(fail, [], x.dtype), [])

    def measured(**candidates):
        return timing._measure(images(2), W, geometry.window((3, 3)), candidates, "too_large")

    assert measured(too_large=too_large, native=native) == "native"
    with pytest.raises(tf.errors.ResourceExhaustedError):
        measured(too_large=too_large)


MEASURE = """
import sys
import tensorflow as tf
from hw2 import ops
from hw2.ops import timing
if sys.argv[1] == "deterministic":
    tf.config.experimental.enable_op_determinism()
x, w = tf.zeros([2, 8, 7, 4]), tf.zeros([3, 3, 4, 6])
tf.function(lambda x: ops.conv2d(x, w, algorithm="fastest"))(x)
taken = timing.choices()
print(len(timing._made), len(taken), set(taken.values()) <= set(ops.ALGORITHMS))
"""


@pytest.mark.parametrize(
    ("mode", "count"),
    [pytest.param("quick", 1, marks=pytest.mark.slow), ("deterministic", 0)],
)
def test_a_real_clock(mode, count):
    root = Path(__file__).parents[2]
    out = subprocess.check_output(
        [sys.executable, "-c", MEASURE, mode],
        cwd=root,
        env={**os.environ, timing.VARIABLE: ""},
        text=True,
    )
    assert out == f"{count} 1 True\n"  # measured, recorded


@pytest.mark.parametrize("channels", [3, 4])
def test_gradients_are_measured_while_a_graph_is_traced(channels, monkeypatch):
    """`tf.init_scope` pauses gradient tapes, so a tape would find none; pictures need none."""
    steps = []
    real = timing._step

    def step(convolve, window):
        steps.append(real(convolve, window))
        return steps[-1]

    monkeypatch.setattr(timing, "_step", step)
    able = ("direct", "direct_winograd2", "winograd")
    x, w = tf.zeros([2, 8, 7, channels]), tf.zeros([3, 3, channels, 6])

    @tf.function(autograph=False)
    def trace():
        candidates = {name: conv.ALGORITHMS[name] for name in able}
        timing._measure(x, w, geometry.window((3, 3)), candidates, "direct")
        return tf.zeros([])

    trace()
    expected = [(2, 8, 7, 6), *([x.shape] if channels > 3 else []), w.shape]
    assert [[y.shape for y in step(x, w)] for step in steps] == [expected] * len(able)
