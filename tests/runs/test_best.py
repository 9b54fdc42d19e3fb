"""The best checkpoint is a good one; a damaged one makes way for the next best, in words."""

import re
import shutil

import numpy as np
import pytest

from hw2.errors import RunError
from hw2.runs import best, checkpoints, retention

TOP1 = {8: 0.5, 16: 0.9, 24: 0.8, 32: 0.7}


def written(folder, step, *, best_step, since=0):
    """A checkpoint as a training writes it, of a step that was evaluated if it has a score."""
    validation = {"top1": TOP1[step]} if step in TOP1 else None
    state = {"plateau": {"best_step": best_step}, "validation": validation, "data_since": since}
    return checkpoints.write(folder, step, {"w": np.float32([step])}, state)


@pytest.fixture
def last(tmp_path):
    for step in (8, 16, 24, 32):
        found = written(tmp_path, step, best_step=min(step, 16))
    return found


def damage(folder, step):
    (folder / f"step-{step:08d}" / "tensors.safetensors").write_bytes(b"x")


def test_the_best_is_the_one_that_the_last_records(tmp_path, last):
    assert best.find(tmp_path, last).step == 16
    assert best.find(tmp_path, written(tmp_path, 40, best_step=40)).step == 40
    assert best.find(tmp_path, written(tmp_path, 48, best_step=-1)) is None


@pytest.mark.fault(108)
def test_a_damaged_best_makes_way_for_the_next_best(tmp_path, last):
    damage(tmp_path, 16)
    words = (
        f"passed over the best: {tmp_path / 'step-00000016'} - tensors.safetensors has changed "
        "since it was written; the next best is step 24, with validation top-1 0.8000"
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(words)}$"):
        assert best.find(tmp_path, last).step == 24
    assert (tmp_path / "step-00000016").exists()  # a reader renames nothing
    with pytest.warns(UserWarning, match=re.escape(words)):
        assert best.find(tmp_path, last, set_aside=True).step == 24
    assert (tmp_path / "step-00000016.corrupt").exists()


@pytest.mark.fault(108)
def test_so_does_one_that_is_gone_and_those_after_it(tmp_path, last):
    shutil.rmtree(tmp_path / "step-00000016")
    damage(tmp_path, 24)
    with pytest.warns(UserWarning, match=r"No such file.*; the next best is step 32, with .* 0.7"):
        assert best.find(tmp_path, last).step == 32


@pytest.mark.fault(108)
def test_scores_on_other_pictures_are_no_next_best(tmp_path, last):
    last = written(tmp_path, 40, best_step=32, since=24)
    damage(tmp_path, 32)
    with pytest.warns(UserWarning, match="has changed since .*; no other one was evaluated"):
        assert best.find(tmp_path, last) is None


@pytest.mark.fault(108)
def test_no_message_names_a_flag_that_training_does_not_have(tmp_path, last):
    damage(tmp_path, 32)
    words = "since it was written; restore it, or remove it to use the others"
    with pytest.raises(RunError, match=words):
        checkpoints.at(tmp_path, 32)
    with pytest.warns(UserWarning, match="^passed over: bad checkpoint in .*since it was written$"):
        checkpoints.newest(tmp_path)


@pytest.mark.fault(121)
def test_no_link_leads_to_nothing(tmp_path, last):
    retention.prune(tmp_path, keep=4, best_step=16)
    assert (tmp_path / "best").resolve().name == "step-00000016"
    retention.prune(tmp_path, keep=4, best_step=20)  # whose save the disk refused
    assert not (tmp_path / "best").is_symlink()
    retention.prune(tmp_path, keep=4, best_step=16)
    retention.prune(tmp_path, keep=1, best_step=-1)  # of other pictures
    assert {path.name for path in tmp_path.iterdir()} == {"step-00000032", "last"}
