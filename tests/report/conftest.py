"""Small runs of many classes and of clothes, each made once, and their pages."""

import json

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from hw2.config import settings as config
from hw2.report import build
from tests.packages import installed
from tests.small import train

FASHION = "/usr/share/datasets/fashion-mnist"


@pytest.fixture(scope="session")
def fashion_run(tmp_path_factory):
    installed(FASHION, "dataset-fashion-mnist")
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
