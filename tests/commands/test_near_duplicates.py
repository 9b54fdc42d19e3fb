"""`hw2 scan --near_duplicates`: copies of real pictures are told, within and across parts."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.packages import stamps

__all__ = ["stamps"]

COPIED = ["amphibians/frog.png", "birds/blackbird.png", "birds/adelaide-rosella.png"]


def flat(path):
    """A stamp on white, as other programs would have it."""
    image = Image.open(path).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


@pytest.fixture
def root(tmp_path, stamps):
    """Stamps in two classes and two parts, and copies that were scaled, saved anew, brightened."""
    pytest.importorskip("imagehash")
    frog, blackbird, rosella = (flat(stamps / "animals" / name) for name in COPIED)
    data = tmp_path / "data"
    for folder in ("train/a", "train/b", "test/a", "test/b"):
        (data / folder).mkdir(parents=True)
    for number, path in enumerate(sorted((stamps / "animals" / "fish").rglob("*.png"))[:12]):
        shutil.copy(path, data / ("train/b", "test/b")[number % 2])
    frog.save(data / "train/a/frog.png")
    frog.resize((frog.width // 2, frog.height // 2)).save(data / "train/a/half.png")
    blackbird.save(data / "train/a/blackbird.png")
    blackbird.save(data / "train/b/again.jpg", quality=70)
    rosella.save(data / "train/a/rosella.png")
    rosella.point(lambda level: min(255, level * 1.1)).save(data / "test/a/bright.png")
    shutil.copy(data / "train/a/frog.png", data / "train/a/same.png")  # equal, and told as such
    return data


def test_pairs_within_and_across_parts(root, scan):
    code, out, _ = scan(root, "--near_duplicates", "--json")
    found = json.loads(out)
    assert code == 0
    train, test = (part["near_duplicates"] for part in found["parts"])
    assert {(*sorted(pair[:2]), pair[3]) for pair in train} == {
        ("a/frog.png", "a/half.png", False),
        ("a/blackbird.png", "b/again.jpg", True),
    }
    assert test == []
    [[one, other, bits, apart]] = found["near_leaks"]
    assert (one, other) == (f"{root}/train/a/rosella.png", f"{root}/test/a/bright.png")
    assert 0 <= bits <= 6
    assert not apart


def test_people_read_what_to_do(root, scan):
    code, out, _ = scan(root, "--near_duplicates")
    assert code == 0
    words = " ".join(out.split())
    assert f"2 near-duplicates in {root}/train, 1 across classes" in words
    assert "a/blackbird.png ~ b/again.jpg" in words
    assert "bits differ, of two classes)" in words
    assert "1 near-duplicates across parts" in words
    assert "--group_by=near_duplicates" in words
    assert "near" not in scan(root)[1]


def test_arrays_are_compared_too(tmp_path, scan):
    pytest.importorskip("imagehash")
    images = np.random.default_rng(0).integers(0, 200, (6, 24, 24), np.uint8)
    images[4] = images[1] + 20  # the same, lighter
    np.savez(tmp_path / "train.npz", images=images, labels=np.arange(6) % 2)
    code, out, _ = scan(tmp_path / "train.npz", "--near_duplicates", "--json")
    assert code == 0
    [[one, other, bits, apart]] = json.loads(out)["parts"][0]["near_duplicates"]
    assert (int(one), int(other)) == (1, 4)
    assert bits <= 6
    assert apart
