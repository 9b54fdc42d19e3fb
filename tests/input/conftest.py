"""Pictures that the tests share, real ones of Debian packages among them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw2.input.examples import Examples
from hw2.input.sources import arrays, builtin
from tests.packages import installed, stamps

__all__ = ["stamps"]


@pytest.fixture(scope="session")
def fashion() -> Path:
    """Gzipped IDX files."""
    return installed(builtin.FASHION_FOLDER, "dataset-fashion-mnist")


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A smooth picture, wider than high, whose four corners differ."""
    y, x = np.mgrid[0:60, 0:80]
    return Image.fromarray(np.stack([3 * x, 4 * y, 255 - 2 * x], -1).astype(np.uint8))


@pytest.fixture
def numbered() -> Examples:
    """20 grey pictures of 8x8, each filled with its index, in 4 classes."""
    images = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones([1, 8, 8, 1], np.uint8)
    return arrays.examples(images, np.arange(20) % 4, ["a", "b", "c", "d"])


@pytest.fixture
def scan(monkeypatch, capsys, tmp_path, command):
    """Runs `hw2 scan` in this process: exit code, stdout and stderr."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def call(*words):
        return command("scan", *words), *capsys.readouterr()

    return call
