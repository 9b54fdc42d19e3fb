"""The wheel: it has every file of the package, and is all that a new folder needs to train."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_PACKED = (".pyc", ".so", ".o")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built of a copy without network."""
    version = re.match(r"\d+", metadata.version("setuptools"))
    if not version or int(version[0]) < 77:
        pytest.skip("setuptools 77 or newer is not installed")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "hw2", source / "hw2", ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", source, source)
    [path] = source.glob("hw2-*.whl")
    return path


def pip(*words):
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_it_has_every_file_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as packed:
        found = {name for name in packed.namelist() if name.startswith("hw2/")}
        [entries] = [name for name in packed.namelist() if name.endswith("entry_points.txt")]
        assert b"hw2 = hw2.commands.main:main" in packed.read(entries)
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "hw2").rglob("*")
        if path.is_file() and not path.name.endswith(NOT_PACKED)
    }
    assert found == files
    assert {
        "hw2/py.typed",
        "hw2/report/template.html",
        "hw2/report/head.html",
        "hw2/serve/page/page.html",
        "hw2/serve/page/sum.js",
        "hw2/commands/recipes.cfg",
    } <= found


@pytest.mark.slow
def test_a_new_folder_needs_nothing_else(wheel, tmp_path):
    installed, here = tmp_path / "installed", tmp_path / "here"
    here.mkdir()
    pip("install", "--no-deps", "--no-index", "--target", installed, wheel)
    environment = {**os.environ, "PYTHONPATH": str(installed)}

    def run(*words):
        done = subprocess.run(
            [sys.executable, *words],
            cwd=here,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    code = "import hw2; print(hw2.__file__)"
    assert run("-c", code).stdout.startswith(str(installed))
    hw2 = installed / "bin" / "hw2"
    flags = ["--max_steps=20", "--save_checkpoint_steps=10"]
    trained = run(hw2, "train", "--train_data_path=digits", *flags)
    assert json.loads(trained.stdout)["log_path"] == "runs/digits"
    assert "-m hw2 eval runs/digits" in trained.stderr
    run(hw2, "eval", "runs/digits")
    run(hw2, "report", "runs/digits")
    run("-m", "hw2", "export", "runs/digits", "--format=saved_model")
    for name in ("report.html", "saved_model"):
        assert (here / "runs" / "digits" / name).exists()
