"""Near-duplicates: real pictures are known again, and no pair of hashes is missed."""

import io

import numpy as np
import pytest
from PIL import Image

from hw2.input.files import decode, perceptual
from hw2.input.files.frame import Frame
from tests.packages import stamps

__all__ = ["stamps"]


def test_every_pair_that_differs_in_few_bits_is_found():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 300, np.uint64)
    flips = [rng.choice(64, n % 10, replace=False) for n in range(300)]
    near_ones = [int(h) ^ sum(1 << int(b) for b in f) for h, f in zip(hashes, flips, strict=True)]
    every = np.concatenate([hashes, np.array(near_ones, np.uint64)])
    by_definition = {
        (i, j)
        for i in range(len(every))
        for j in range(i + 1, len(every))
        if bin(int(every[i]) ^ int(every[j])).count("1") <= 6
    }
    found = perceptual.pairs(every, 6)
    assert set(map(tuple, found.tolist())) == by_definition
    assert len(found) >= 200
    worked = [bin(int(every[a]) ^ int(every[b])).count("1") for a, b in found]
    assert perceptual.distances(every, found).tolist() == worked


def test_of_equal_hashes_each_is_paired_with_the_first():
    assert perceptual.pairs(np.array([7, 7, 7], np.uint64)).tolist() == [[0, 1], [0, 2]]
    assert perceptual.pairs(np.zeros(0, np.uint64)).shape == (0, 2)


def test_fifty_thousand_take_no_square_of_comparisons(monkeypatch):
    """Neither at random, nor where half of them are the same and the rest share a band."""
    compared = []
    bits = perceptual._bits
    monkeypatch.setattr(
        perceptual, "_bits", lambda values: compared.append(len(values)) or bits(values)
    )
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 50_000, np.uint64)
    hashes[25_000:] = hashes[0]
    hashes[:2] = [0, 0b111111]
    found = perceptual.pairs(hashes)
    assert [0, 1] in found.tolist()
    assert sum(compared) < 50_000**2 / 50
    assert max(compared) < 2 * perceptual.CHUNK


def changed(picture, how):
    """A picture as another program would have saved it."""
    image = Image.fromarray(picture)
    if how == "smaller":
        image = image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.Resampling.BOX)
    if how == "brighter":
        image = image.point(lambda level: min(255, level * 1.1 + 5))
    file = io.BytesIO()
    image.save(file, "JPEG" if how == "jpeg" else "PNG", quality=60)
    return file.getvalue()


@pytest.mark.parametrize("how", ["smaller", "jpeg", "brighter"])
def test_changed_stamps_are_known_and_others_are_not(stamps, how):
    pytest.importorskip("imagehash")
    files = sorted((stamps / "animals").rglob("*.png"))[:120]
    originals = [decode.picture(file, 120) for file in files]
    square = Frame(perceptual.SIDE, "stretch")
    before = [perceptual.hash_of(decode.resize(picture, square)) for picture in originals]
    after = [
        perceptual.hash_of(decode.picture_in(changed(picture, how), "a", square))
        for picture in originals
    ]
    differ = np.array([[bin(a ^ b).count("1") for b in after] for a in before])
    same = np.eye(len(files), dtype=bool)
    assert (differ[same] <= perceptual.DISTANCE).mean() >= 0.9
    assert (differ[~same] <= perceptual.DISTANCE).mean() <= 0.0005


def test_a_picture_of_one_level_has_no_hash():
    pytest.importorskip("imagehash")
    assert perceptual.hash_of(np.full([64, 64, 3], 250, np.uint8)) is None
    assert perceptual.hash_of(np.zeros([64, 64, 1], np.uint8)) is None
