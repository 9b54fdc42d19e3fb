"""Checkpoints are whole or not there."""

import json
import os
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw2.errors import NotFinite, RunError
from hw2.runs import checkpoints, retention

TENSORS = {"model/w": np.arange(6, dtype=np.float32).reshape(2, 3), "model/b": np.float32([1])}


def save(folder, *steps):
    return [checkpoints.write(folder, step, TENSORS, {"score": step / 10}) for step in steps]


def test_what_is_written_is_read(tmp_path):
    save(tmp_path, 7)
    found = checkpoints.newest(tmp_path)
    assert (found.step, found.state) == (7, {"format": 1, "step": 7, "score": 0.7})
    stored = found.tensors()
    assert stored.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(stored[name], value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000007"]


def test_no_folder_is_no_checkpoint(tmp_path):
    assert checkpoints.newest(tmp_path / "none") is None


@pytest.mark.parametrize("name", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
@pytest.mark.fault(44)
def test_a_damaged_checkpoint_is_passed_over(tmp_path, name, damage):
    save(tmp_path, 1, 2)
    file = tmp_path / "step-00000002" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    with pytest.warns(UserWarning, match="passed over: bad checkpoint in .*step-00000002"):
        found = checkpoints.newest(tmp_path, repair=True)
    assert found.step == 1
    assert (tmp_path / "step-00000002.corrupt").is_dir()


def test_where_none_is_good_nothing_is_swept(tmp_path):
    for written in save(tmp_path, 1, 2):
        (written.path / "state.json").write_text("{}")
    for name in (".step-00000003.partial", ".step-00000001.removed.partial"):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RunError, match="no good checkpoint"):
        checkpoints.newest(tmp_path, repair=True)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.filterwarnings("ignore:passed over")
@pytest.mark.fault(45)
def test_all_damaged_is_an_error_and_never_a_fresh_start(tmp_path):
    for written in save(tmp_path, 1, 2):
        (written.path / "state.json").write_text("{}")
    words = re.escape("state.json has changed since it was written")
    with pytest.raises(RunError, match=f"no good checkpoint in .*{words}.*{words}"):
        checkpoints.newest(tmp_path)


@pytest.mark.fault(55)
def test_prune_keeps_the_newest_and_the_best(tmp_path):
    save(tmp_path, 1, 2, 3, 4, 5, 6)
    for keep, every, kept in [
        (4, 0, [1, 4, 5, 6]),  # the best is one of the four
        (2, 4, [1, 4, 6]),  # multiples of 4 are not counted
        (1, 0, [1, 6]),
    ]:
        retention.prune(tmp_path, keep=keep, keep_every=every, best_step=1)
        assert [int(p.name[5:]) for p in checkpoints.listing(tmp_path)] == kept
        names = {p.name for p in tmp_path.iterdir()}
        assert names == {"best", "last", *(f"step-{step:08d}" for step in kept)}
    assert json.loads((tmp_path / "best" / "state.json").read_text())["score"] == 0.1
    assert json.loads((tmp_path / "last" / "state.json").read_text())["score"] == 0.6


def test_values_that_are_not_finite_are_never_written(tmp_path):
    with pytest.raises(NotFinite, match="w is not finite in step 3"):
        checkpoints.write(tmp_path, 3, {"w": np.float32([1, np.nan])}, {})
    assert checkpoints.newest(tmp_path) is None


def test_a_folder_name_with_brackets_works(tmp_path):
    folder = tmp_path / "run [1]*"
    folder.mkdir()
    save(folder, 1)
    assert checkpoints.newest(folder).step == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "manifest.json is nested too deeply"),
        ('{"tensors.safetensors": NaN}', "manifest.json holds NaN, which is no number"),
        ("[]", "manifest.json is not an object"),
        ("{", "Expecting property name"),
        (b"\xff\xfe{", "codec can't decode"),
        (2**26 + 1, "manifest.json has 67,108,865 bytes, more than 67,108,864"),
    ],
)
@pytest.mark.fault(51)
def test_json_that_cannot_be_is_a_bad_checkpoint(tmp_path, text, words):
    [written] = save(tmp_path, 1)
    path = written.path / "manifest.json"
    if isinstance(text, int):
        os.truncate(path, text)  # takes no room on the disk
    else:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunError, match=f"bad checkpoint in .*{words}"):
        checkpoints.read(written.path)
    with pytest.raises(RunError, match="no good checkpoint"):
        checkpoints.newest(tmp_path, repair=True)
    assert written.path.exists()  # where none is good, none is moved


@pytest.mark.fault(46)
def test_what_a_kill_left_is_removed_by_the_next_write(tmp_path):
    for name in (".step-00000003.partial", ".step-00000001.removed.partial"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tensors.safetensors").write_bytes(b"half")
    save(tmp_path, 4)
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000004"]


def test_bad_checkpoints_set_aside_never_replace_each_other(tmp_path):
    for _ in range(3):
        save(tmp_path, 1, 2)
        (tmp_path / "step-00000002" / "state.json").write_text("{}")
        with pytest.warns(UserWarning, match="passed over"):
            assert checkpoints.newest(tmp_path, repair=True).step == 1
    assert {p.name for p in tmp_path.iterdir()} == {
        "step-00000001",
        "step-00000002.corrupt",
        "step-00000002.corrupt-2",
        "step-00000002.corrupt-3",
    }


@given(st.data())
@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.fault(44)
def test_any_flipped_bit_is_found(tmp_path, data):
    folder = tmp_path / "flips"
    folder.mkdir(exist_ok=True)
    [written] = save(folder, 1)
    name = data.draw(st.sampled_from(sorted(p.name for p in written.path.iterdir())))
    content = bytearray((written.path / name).read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    (written.path / name).write_bytes(content)
    with pytest.raises(RunError, match="bad checkpoint in"):
        checkpoints.read(written.path)
