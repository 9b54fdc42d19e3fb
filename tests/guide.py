"""What the guides tell people to type, and a folder in which to do it."""

import re
import runpy
import shlex
import sys
import warnings
from argparse import ArgumentParser
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from hw2.config import settings
from hw2.models import MODELS
from hw2.models.weights import fetch, stored
from hw2.models.weights.maps import ORIGINS
from hw2.models.weights.stored import Weights
from hw2.terminal import noise
from hw2.training.variables import named_variables

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md"]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md"))
FENCE = re.compile(r'^```(\w*)(?: title="([\w.]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
TRAINING = ("train.py", "multi_gpu_train.py", "train_involution.py", "train_deform_net.py")
CUT = [
    "--max_steps=2",
    "--epochs=0",
    "--save_checkpoint_steps=1",
    "--image_size=8",
    "--short_side=8",
    "--crop_size=8",
    "--batch_size=4",
    "--log_frequency=1",
    "--notensorboard",
]


class Block(NamedTuple):
    """A fenced block of a page; `title` is the file that it is a part of."""

    language: str
    title: str
    text: str


class Parsed(BaseException):
    """Ends a command whose arguments were taken."""


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(*found) for found in FENCE.findall((ROOT / page).read_text("utf-8"))]


def commands(text: str) -> list[str]:
    """The lines of a block of shell, comments taken off and continued lines joined."""
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [line for line in (re.sub(r"(^|\s+)#.*", "", line) for line in lines) if line]


def inline(page: str) -> list[str]:
    """Commands that stand within sentences and tables."""
    text = FENCE.sub("", (ROOT / page).read_text("utf-8"))
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text))
    return [span for span in spans if re.match(r"(\.venv/bin/)?(python|hw2) \S|make \w", span)]


def words_of(line: str) -> list[str]:
    """The words after `python`, as which `hw2` is `-m hw2`; `...` is whatever was said before."""
    program, *words = [word for word in shlex.split(line) if "..." not in word]
    program = program.removeprefix(".venv/bin/")
    assert program in ("python", "hw2"), line
    return ["-m", "hw2", *words] if program == "hw2" else words


def trains(words: list[str]) -> bool:
    """Whether `python WORDS` is a training."""
    return words[0] in TRAINING or (
        words[:2] == ["-m", "hw2"] and words[2] in ("train", "multi_gpu_train", "folds")
    )


def start(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Runs `python WORDS` in this process, and returns the exit code."""
    monkeypatch.setattr(noise, "quiet_tensorflow", lambda: None)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back at the end
    module = words[0] == "-m"
    monkeypatch.setattr(sys, "argv", words[1:] if module else words)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* found in sys.modules after import of package")
            if module:
                runpy.run_module(words[1], run_name="__main__")
            else:
                runpy.run_path(words[0], run_name="__main__")
    except SystemExit as left:
        return left.code or 0
    return 0


def check(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the command `python WORDS` take its arguments, and ends it there."""
    if words[:2] == ["-m", "hw2"] and words[-1] == "--help":
        assert start(words, monkeypatch) == 0  # it has no more to take
        return
    path = ROOT / (words[1].replace(".", "/") if words[0] == "-m" else words[0])
    file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
    code = file.read_text("utf-8")
    if "argparse" not in code and "launch.run(" not in code and "hw2.commands" not in code:
        assert len(words) == 1 + (words[0] == "-m"), words  # it has no flags
        return

    def parsed(parse):
        def call(*arguments, **options):
            parse(*arguments, **options)
            raise Parsed

        return call

    with monkeypatch.context() as patch:
        patch.chdir(ROOT)
        patch.syspath_prepend(ROOT / "benchmarks")
        patch.setattr(ArgumentParser, "parse_args", parsed(ArgumentParser.parse_args))
        patch.setattr(settings, "parse", parsed(settings.parse))
        with pytest.raises(Parsed):
            start(words, patch)


def drawings(folder: Path, classes: str, seed: int) -> Path:
    """Ten little pictures of noise in each class folder."""
    rng = np.random.default_rng(seed)
    for name in classes.split():
        (folder / name).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(0, 255, (12, 14, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def cells(folder: Path) -> None:
    """Makes a little package of solar cells, four of each kind and probability."""
    data = folder / "elpv_dataset" / "data"
    (data / "images").mkdir(parents=True)
    (data.parent / "__init__.py").touch()
    rng = np.random.default_rng(0)
    kinds = [(kind, p) for kind in ("mono", "poly") for p in (0, 1 / 3, 2 / 3, 1)] * 4
    lines = []
    for number, (kind, probability) in enumerate(kinds, start=1):
        name = f"images/cell{number:04}.png"
        Image.fromarray(rng.integers(0, 255, (9, 9), np.uint8)).save(data / name)
        lines.append(f"{name}  {probability}  {kind}\n")
    (data / "labels.csv").write_text("".join(lines))


def weights(cache: Path, name: str) -> None:
    """Stands for `hw2 weights NAME`: weights as they are drawn at random."""
    model = MODELS[name]((32, 32, 3), 1000, seed=0)
    tensors = {key: variable.numpy() for key, variable in named_variables(model).items()}
    digest = fetch.PACKAGES[name].sha256
    found = Weights(name, ORIGINS[name].preprocessing, digest, tensors)
    stored.write(fetch.path_of(name, cache), found)


def furnish(folder: Path) -> None:
    """Puts what a clone has, and the data that the guides speak of, into a folder."""
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name not in ("runs", "site"):
            (folder / path.name).symlink_to(path)
    cells(folder)
    drawings(folder / "FOLDER", "cat dog", 1)
    drawings(folder / "OTHER_FOLDER", "cat dog", 2)
    drawings(folder / "PICTURES", "unsorted", 3)
    np.save(folder / "test.npy", np.zeros([3, 12, 14, 3], np.uint8))
    rng = np.random.default_rng(4)
    np.save(folder / "tenbit.npy", rng.integers(0, 1024, [12, 12, 14, 1], np.uint16))
    np.save(folder / "tenbit_labels.npy", np.arange(12) % 2)
