"""Small runs and a browser, each made once."""

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from hw2.config import settings as config
from hw2.jobs import train as experiment
from hw2.report import build

FASHION = Path("/usr/share/datasets/fashion-mnist")
SMALL = ["--model=simple_cnn", "--max_steps=6", "--save_checkpoint_steps=2", "--log_frequency=2"]
SMALL += ["--halve_after=1", "--notensorboard"]


def absent(reason):
    pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)


def train(folder, *flags):
    experiment.train(config.parse(["train.py", *SMALL, *flags, f"--log_path={folder}"]))
    return folder


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits & <more>"
    sides = ["--image_size=16", "--short_side=16", "--crop_size=16", "--batch_size=64"]
    return train(folder, "--train_data_path=digits", *sides)


@pytest.fixture(scope="session")
def fashion_run(tmp_path_factory):
    if not FASHION.is_dir():
        absent("Fashion-MNIST is missing; apt-get install dataset-fashion-mnist")
    folder = tmp_path_factory.mktemp("runs") / "fashion"
    sides = ["--image_size=28", "--short_side=28", "--crop_size=28", "--batch_size=512"]
    return train(folder, "--train_data_path=fashion_mnist", *sides)


@pytest.fixture(scope="session")
def run_of_65(tmp_path_factory):
    """65 classes of long names: ten digits, turned and mirrored."""
    data = tmp_path_factory.mktemp("data")
    scans = load_digits()
    turns = [None, *Image.Transpose]
    for label in range(65):
        digit, turn = label % 10, turns[label // 10]
        folder = data / f"digit {digit} - {turn.name.lower() if turn is not None else 'as it is'}"
        folder.mkdir()
        for number, scan in enumerate(scans.images[scans.target == digit][:5]):
            image = Image.fromarray((15 * scan).astype("uint8")).resize((32, 32))
            image = image if turn is None else image.transpose(turn)
            image.putpixel((0, 0), label)  # or a turned 0 would be another class's picture
            image.save(folder / f"{number}.png")
    sides = ["--image_size=24", "--short_side=26", "--crop_size=24", "--batch_size=64"]
    folder = tmp_path_factory.mktemp("runs") / "sixtyfive"
    return train(folder, f"--train_data_path={data}", *sides)


@pytest.fixture
def report(tmp_path, capsys):
    """Builds a page; returns its path and the JSON line."""

    def call(*folders, flags=()):
        page = tmp_path / "page.html"
        settings = config.parse(["report", f"--output={page}", *flags])
        capsys.readouterr()
        build.build([str(folder) for folder in folders], settings)
        return page, json.loads(capsys.readouterr().out.splitlines()[-1])

    return call


@pytest.fixture(scope="session")
def browser():
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        absent("no browser; apt-get install chromium chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield started
    started.quit()
