"""`distance.npz`: what is written is read, and what is damaged is refused."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hw2.errors import RunError
from hw2.runs import distance
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.distance import Distance
from hw2.runs.folder import RunFolder

FOUND = Distance(
    step=8,
    digest="ab",
    weights="ema",
    tta="none",
    num_fitted=9,
    num_examples=4,
    centre=np.zeros(2, np.float32),
    whitening=np.eye(2, dtype=np.float32),
    means=np.ones([3, 2], np.float32),
    curve=np.array([[-2.0, 1, 0], [-3.5, 3, 1], [-3e38, 4, 2]]),
)


def test_what_is_written_is_read(tmp_path):
    folder = RunFolder(tmp_path)
    assert distance.read(folder) is None
    assert distance.write(folder, FOUND).name == "distance.npz"
    found = distance.read(folder)
    for name, value in vars(FOUND).items():
        np.testing.assert_array_equal(getattr(found, name), value)
    assert [path.name for path in tmp_path.iterdir()] == ["distance.npz"]


def test_it_belongs_to_one_checkpoint_its_weights_and_its_views():
    checkpoint = Checkpoint(Path("step-00000008"), 8, {}, "ab")
    assert FOUND.fits(checkpoint, "ema", "none")
    assert not FOUND.fits(checkpoint, "raw", "none")
    assert not FOUND.fits(checkpoint, "ema", "flip")
    assert not FOUND.fits(dataclasses.replace(checkpoint, digest="cd"), "ema", "none")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"centre": np.zeros(3, np.float32)}, "the shapes of its arrays do not fit together"),
        ({"means": np.zeros([0, 2], np.float32)}, "the shapes of its arrays"),
        ({"means": np.full([3, 2], np.nan, np.float32)}, "its arrays must be finite numbers"),
        ({"centre": np.array(["a", "b"])}, "its arrays must be finite numbers"),
        ({"curve": FOUND.curve[:2]}, "the counts of its curve"),
        ({"curve": FOUND.curve[:, ::-1].copy()}, "the counts of its curve"),
        ({"curve": FOUND.curve[0]}, "the shapes of its arrays|too many indices|IndexError"),
    ],
)
def test_another_content_is_refused(tmp_path, changes, said):
    distance.write(RunFolder(tmp_path), dataclasses.replace(FOUND, **changes))
    with pytest.raises(RunError, match=rf"bad distances in .*({said}).*; remove it"):
        distance.read(RunFolder(tmp_path))


def test_a_damaged_file_is_refused_wherever_the_damage_is(tmp_path):
    path = distance.write(RunFolder(tmp_path), FOUND)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [b"", b"{}", whole[:100], whole[:-30], b"\x93NUMPY\x01\x00"]
    for place in rng.integers(0, len(whole), 150).tolist():
        for bits in (0xFF, 0x01):  # the lowest bit of an archive's flags says that it is encrypted
            damaged.append(whole[:place] + bytes([whole[place] ^ bits]) + whole[place + 1 :])
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            distance.read(RunFolder(tmp_path))  # what nobody reads of the archive may differ
        except RunError:
            refused += 1
    assert refused > 100
