"""Real data of Debian packages."""

import os
from pathlib import Path

import pytest

from hw2.jobs import pretrained
from hw2.models.weights import fetch

STAMPS = Path("/usr/share/tuxpaint/stamps")


def installed(path: Path | str, package: str) -> Path:
    """The path, or a skip; in CI, where the package has to be there, a failure."""
    if not Path(path).exists():
        reason = f"{path} is missing: apt-get install {package}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return Path(path)


def weights(name: str) -> Path:
    """The file of weights that `hw2 weights NAME` has fetched, or as `installed`."""
    path = fetch.path_of(name, pretrained.cache())
    if not path.exists():
        reason = f"{path} is missing: hw2 weights {name}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return path


@pytest.fixture(scope="session")
def stamps() -> Path:
    """Class folders with PNG of modes RGBA, LA, P and RGB beside sounds and texts."""
    return installed(STAMPS, "tuxpaint-stamps-default")
