"""What TensorBoard itself says of a run, asked over HTTP; and that looking changes nothing."""

import contextlib
import io
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import types
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from hw2.config import settings
from hw2.errors import DataError
from hw2.input.transforms.preprocess import Preprocessing
from hw2.jobs import model, spec, tensorboard
from hw2.runs import folder as run_folder
from hw2.training import optimizers
from hw2.training.events import Events, write_scalars

ROOT = Path(__file__).parents[2]
READ_OFF = 1e-4  # of gradients about 1: differences of weights about 1, over a rate of 0.01

FLAGS = ["--tensorboard", "--log_frequency=1", "--noflip"]


@contextlib.contextmanager
def served(folder, *flags):
    """TensorBoard as make starts it, on a free port.

    Yields a function from a path and its parameters to content.
    """
    make = ["make", "-n", "--no-print-directory", "tensorboard", f"RUNS={folder}"]
    printed = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    program, *words = shlex.split(printed.splitlines()[-1])
    words += ["--port=0", "--reload_interval=1"]
    assert program == ".venv/bin/tensorboard"
    server = subprocess.Popen(
        [sys.executable, "-m", "tensorboard.main", *words, *flags],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        for line in server.stderr:
            if found := re.search(r"http://\S+:\d+/", line):
                address = found[0]
                break
        else:
            pytest.fail("TensorBoard ended without an address")

        def ask(path, **parameters):
            words = urllib.parse.urlencode(parameters)
            with urllib.request.urlopen(f"{address}data/{path}?{words}", timeout=60) as answer:
                return answer.read()

        port = urllib.parse.urlsplit(address).port
        with (
            pytest.raises(ConnectionRefusedError),
            socket.create_connection(("127.0.0.2", port), timeout=5),
        ):
            pass  # another address of this machine
        yield ask
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
        server.stderr.close()


def plugin(ask, name, **parameters):
    return json.loads(ask(f"plugin/{name}", **parameters))


def tags(ask, name):
    """By the run; asked until the files have been read."""
    for _ in range(100):
        if found := plugin(ask, f"{name}/tags"):
            return found
    return pytest.fail(f"no {name}")


def steps(ask, name, route, tag, **parameters):
    return [row[1] for row in plugin(ask, f"{name}/{route}", run="tensorboard", tag=tag)]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    return tmp_path_factory.mktemp("events") / "run"


def crash(run):
    if run.step == 13:
        raise ZeroDivisionError


@pytest.mark.parametrize("loader", ["--load_fast=true", "--load_fast=false"])
def test_tensorboard_shows_every_step_once(train, interrupted, loader):
    if not interrupted.exists():  # it ends at step 13, five steps after its last checkpoint
        with pytest.raises(ZeroDivisionError):
            train(interrupted, *FLAGS, "--histogram_steps=6", hooks=[crash])
        for file in (interrupted / "tensorboard").iterdir():  # as a kill within a write leaves it
            os.truncate(file, file.stat().st_size - 5)
        train(interrupted, *FLAGS, "--histogram_steps=6")
    everything = list(range(1, 25))
    with served(interrupted, loader) as ask:
        scalars = tags(ask, "scalars")["tensorboard"]
        assert {"loss", "accuracy", "learning_rate", "val_loss", "val_top1"} <= set(scalars)
        for tag in ("loss", "learning_rate"):
            assert steps(ask, "scalars", "scalars", tag) == everything
        assert steps(ask, "scalars", "scalars", "val_top1") == [8, 16, 24]
        histograms = set(tags(ask, "histograms")["tensorboard"])
        weight = "stages/head/w"
        assert {f"weights/{weight}", f"gradients/{weight}"} <= histograms
        for kind in ("weights", "gradients"):
            tag = f"{kind}/{weight}"
            assert steps(ask, "histograms", "histograms", tag) == [6, 12, 18, 24]
        images = tags(ask, "images")["tensorboard"]
        assert set(images) == {"pictures/1_loaded", "pictures/2_augmented"}
        found = [
            plugin(ask, "images/images", run="tensorboard", tag=tag, sample=0) for tag in images
        ]
        assert [[one["step"] for one in rows] for rows in found] == [[6, 12, 18, 24]] * 2
        pictures = [
            np.asarray(Image.open(io.BytesIO(ask("plugin/images/individualImage", **query))))
            for query in (dict(urllib.parse.parse_qsl(rows[0]["query"])) for rows in found)
        ]
        assert [picture.shape for picture in pictures] == [(8, 8)] * 2
        assert len(np.unique(pictures[0])) > 4
        graph = ask("plugin/graphs/graph", run="tensorboard", conceptual="false")
        assert b"head/MatMul" in graph


@pytest.mark.parametrize("mirrored", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_looking_changes_no_bit(train, tmp_path, mirrored):
    train(tmp_path / "plain", "--noflip", mirrored=mirrored)
    train(tmp_path / "watched", *FLAGS, "--histogram_steps=1", mirrored=mirrored)
    found = [
        model.choose(run_folder.find(tmp_path / name), "last")[1] for name in ("plain", "watched")
    ]
    assert found[0].keys() == found[1].keys()
    for name, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][name], name)


@pytest.mark.parametrize(
    "make",
    [
        optimizers.Adam,
        lambda v: optimizers.Adam(v, weight_decay=0.1),
        optimizers.Sgd,
        lambda v: optimizers.Sgd(v, weight_decay=0.1),
        lambda v: optimizers.Sgd(v, momentum=0.9, weight_decay=0.1),
        lambda v: optimizers.Sgd(v, momentum=0.9, nesterov=True, weight_decay=0.1),
        lambda v: optimizers.Sgd(v, momentum=0.9, weight_decay=0.1, decoupled=True),
        lambda v: optimizers.Sgd(v, momentum=0.9, nesterov=True),
        lambda v: optimizers.Adagrad(v, weight_decay=0.1),
        lambda v: optimizers.Rmsprop(v, weight_decay=0.1),
        lambda v: optimizers.Rmsprop(v, momentum=0.9),
        lambda v: optimizers.Lion(v, weight_decay=0.1),
    ],
)
def test_gradients_are_read_off_what_the_step_changed(make):
    rng = np.random.default_rng(0)
    variables = {
        "w": tf.Variable(rng.standard_normal([3, 4], np.float32)),
        "b": tf.Variable(rng.standard_normal([4], np.float32)),
    }
    optimizer = make(variables)
    for step in range(3):
        wanted = [rng.standard_normal(v.shape).astype(np.float32) for v in variables.values()]
        before = {name: trace.numpy() for name, trace in optimizer.traces.items()}
        optimizer.apply(wanted, rate=tf.constant(0.01), step=tf.constant(step))
        found = optimizer.gradients(before, 0.01)
        for name, gradient in zip(variables, wanted, strict=True):
            np.testing.assert_allclose(found[name], gradient, atol=READ_OFF)


def test_where_a_step_left_no_trace_there_are_no_gradients():
    variables = {"w": tf.Variable([1.0])}
    assert optimizers.Sgd(variables).gradients({"w": np.ones(1, np.float32)}, 1e-5) == {}
    with_velocity = optimizers.Sgd(variables, momentum=0.9)
    assert with_velocity.gradients({"w": np.ones(1, np.float32)}, 1e-5)
    assert with_velocity.gradients({"w": np.ones(1, np.float32)}, 0.0) == {}


def test_histograms_are_those_of_tensorflow(tmp_path):
    rng = np.random.default_rng(0)
    values = {
        "normal": rng.standard_normal([3, 3, 8, 16], np.float32),
        "narrow": np.float32(1) + np.arange(2, dtype=np.float32) * 2**-23,
        "infinite": np.array([1, 2, 3, np.inf, np.nan], np.float32),
    }
    events = Events(tmp_path / "own")
    events.histograms(7, values)
    events.close()
    with tf.summary.create_file_writer(str(tmp_path / "theirs")).as_default(7):
        for name, value in values.items():
            tf.summary.histogram(name, value[np.isfinite(value)])
    own, theirs = (EventAccumulator(str(tmp_path / n)).Reload() for n in ("own", "theirs"))
    for name in values:
        a, b = (tf.make_ndarray(found.Tensors(name)[0].tensor_proto) for found in (own, theirs))
        np.testing.assert_allclose(a, b)
        assert own.SummaryMetadata(name).plugin_data == theirs.SummaryMetadata(name).plugin_data


def test_figures_of_several_checkpoints_stay_beside_each_other(tmp_path):
    (tmp_path / "eval.jsonl").write_text("")
    for step in (20, 10):
        for file in tmp_path.glob("events*"):  # readers go by the second in a name
            file.rename(file.with_name(file.name.replace(file.name.split(".")[3], "0000000001")))
        write_scalars(tmp_path, step, {"test/top1": step / 100})
    found = EventAccumulator(str(tmp_path)).Reload()
    rows = {r.step: float(tf.make_ndarray(r.tensor_proto)) for r in found.Tensors("test/top1")}
    assert rows == pytest.approx({10: 0.1, 20: 0.2})


def test_steps_gone_by_again_within_a_second_are_shown_once(tmp_path):
    for last in (None, 2, 3):
        events = Events(tmp_path, last)
        for step in range((last or 0) + 1, 6):
            events.scalars(step, {"loss": float(last or 0)})
        events.close()
    names = sorted(file.name for file in tmp_path.iterdir())
    assert [name.endswith(".0.0.v2") for name in names] == [False, True, False, True, False]


def test_a_disk_that_refuses_ends_the_events_with_a_warning(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="no more TensorBoard events: "):
        events = Events(tmp_path / "file" / "tensorboard")
    events.scalars(1, {"loss": 1.0})
    events.close()


def test_a_disk_that_fills_up_is_told_of_once(tmp_path, monkeypatch):
    events = Events(tmp_path)

    def refuse(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.summary, "scalar", refuse)
    with pytest.warns(UserWarning, match="no more TensorBoard events: No space left on device"):
        events.scalars(1, {"loss": 1.0})
    events.scalars(2, {"loss": 1.0})
    events.flush()
    events.close()


def test_files_that_are_gone_are_not_shown_and_end_no_training():
    def gone(index, short_side):
        raise DataError(f"bad picture in {index} - it is gone")

    steps = types.SimpleNamespace(batch=(tf.random.stateless_normal([4, 8, 8, 1], [0, 0]),))
    p = Preprocessing(
        **spec.preprocessing_options(settings.Config(image_size=8, short_side=8, crop_size=8), 1)
    )
    look = tensorboard.pictures(
        steps, types.SimpleNamespace(load=gone), lambda step: np.arange(4), p
    )
    found = look(1)
    assert list(found) == ["pictures/2_augmented"]
    assert found["pictures/2_augmented"].shape == (4, 8, 8, 1)
