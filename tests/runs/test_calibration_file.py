"""`calibration.json`: what is written is read, and what is damaged is refused."""

import dataclasses
import json
from pathlib import Path

import pytest

from hw2.errors import RunError
from hw2.runs import calibration
from hw2.runs.calibration import Calibration
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder

FOUND = Calibration(
    8, "ab", "ema", 1.25, 4, 0.9, 0.8, 0.2, 0.1, ((0.7, 1, 0), (0.3, 3, 1), (0.0, 4, 2))
)


def test_what_is_written_is_read(tmp_path):
    folder = RunFolder(tmp_path)
    assert calibration.read(folder) is None
    assert calibration.write(folder, FOUND).name == "calibration.json"
    assert calibration.read(folder) == FOUND
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.json"]


def test_it_belongs_to_one_checkpoint_and_its_weights():
    checkpoint = Checkpoint(Path("step-00000008"), 8, {}, "ab")
    assert FOUND.fits(checkpoint, "ema")
    assert not FOUND.fits(checkpoint, "raw")
    assert not FOUND.fits(dataclasses.replace(checkpoint, step=9), "ema")
    assert not FOUND.fits(dataclasses.replace(checkpoint, digest="cd"), "ema")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"temperature": 0}, "the temperature must be above 0"),
        ({"temperature": "1.5"}, "must be real number"),
        ({"format": 2}, "not of format 1"),
        ({"curve": [[0.5, 3, 1]]}, "counts of its curve"),
        ({"curve": [[0.5, 2, 3], [0, 4, 3]]}, "counts of its curve"),
        ({"curve": [1, 2]}, "cannot unpack"),
        ({"curve": [[0.5, 1e999, 0]]}, "cannot convert float infinity"),
        ({"surplus": 1}, "unexpected keyword argument"),
    ],
)
def test_another_content_is_refused(tmp_path, changes, said):
    path = calibration.write(RunFolder(tmp_path), FOUND)
    text = json.dumps(json.loads(path.read_text()) | changes)
    path.write_text(text.replace("Infinity", "1e999"))  # a number, and none that fits
    with pytest.raises(RunError, match=rf"bad calibration in .*{said}.*; remove it"):
        calibration.read(RunFolder(tmp_path))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}', '{"temperature": NaN}'])
def test_half_a_file_is_refused(tmp_path, content):
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(RunError, match="bad calibration in"):
        calibration.read(RunFolder(tmp_path))
