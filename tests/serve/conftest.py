"""Servers of small runs, and clients of them."""

import contextlib
import http.client
import io
import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from hw2.config import settings
from hw2.jobs import model as trained
from hw2.runs.folder import RunFolder
from hw2.serve.model import Model
from hw2.serve.server import Server
from tests import small


@pytest.fixture(scope="session")
def digit(tmp_path_factory):
    """A picture of a digit, as a PNG file."""
    path = tmp_path_factory.mktemp("pictures") / "digit.png"
    Image.fromarray((15 * load_digits().images[7]).astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def served(digits_run):
    """A server in this process."""
    with serving(digits_run) as server:
        yield server


@pytest.fixture(scope="session")
def served_in_colour(tmp_path_factory):
    """A server of a model of three colours of noise, which rejects every answer."""
    data = tmp_path_factory.mktemp("colours")
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (data / name).mkdir()
        for number in range(8):
            pixels = rng.integers(0, 128, (16, 16, 3), np.uint8)
            pixels[:, :, channel] += 100
            Image.fromarray(pixels).save(data / name / f"{number}.png")
    sides = ["--image_size=16", "--short_side=16", "--crop_size=16", "--batch_size=8"]
    folder = tmp_path_factory.mktemp("runs") / "colours"
    run = small.train(folder, f"--train_data_path={data}", *sides, "--max_steps=2")
    with serving(run, "--reject_below=1") as server:
        yield server


@contextlib.contextmanager
def serving(run, *flags):
    found = trained.choose(RunFolder(run), "auto")
    server = Server("127.0.0.1", 0, Model(*found, settings.parse(["serve", *flags])))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(served):
    """Sends a request; returns its status, its JSON or its text, and its headers."""

    def call(method, path, body=None, **headers):
        connection = http.client.HTTPConnection(*served.server_address[:2], timeout=60)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = answer.headers["Content-Type"] == "application/json"
        found = json.loads(content) if is_json and content else content.decode()
        return SimpleNamespace(status=answer.status, found=found, headers=answer.headers)

    return call


def encoded(image, kind="PNG"):
    """The bytes of a picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
