"""A process that is killed at any system call of a save leaves a whole checkpoint to go on from."""

import contextlib
import os
import shutil
import types
from pathlib import Path

import numpy as np
import pytest

from hw2.errors import RunError
from hw2.runs import atomic, checkpoints
from hw2.training.loop import Run
from hw2.training.saving import Saver
from tests.runs import moments


@pytest.fixture
def folder(tmp_path):
    """In memory if there is such a disk: hundreds of flushes take seconds on others."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    folder = memory / f"hw2-saves-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def tensors(step, turn=0):
    return {"model/w": np.full([300], step + turn, np.float32), "model/b": np.float32([turn])}


def save(folder, step, turn, best=-1):
    """A save as a training does it, of values without TensorFlow."""
    values = {
        name: types.SimpleNamespace(numpy=lambda value=value: value)
        for name, value in tensors(step, turn).items()
    }
    state = {"turn": turn}
    saver = Saver(folder, values, lambda run, unfinished: state, lambda: best, keep=2)
    saver(Run(step, 1000))


def whole(path):
    """Step and turn of a checkpoint, once every byte of it was checked."""
    found = checkpoints.read(path)
    turn = found.state["turn"]
    for name, value in tensors(found.step, turn).items():
        np.testing.assert_array_equal(found.tensors()[name], value)
    return found.step, turn


def all_whole(folder):
    """Whatever is whole there, under any name."""
    found = set()
    for path in folder.iterdir() if folder.exists() else ():
        with contextlib.suppress(RunError, ValueError, KeyError):
            found.add(whole(path))
    return found


def content(folder):
    links = {path.name: os.readlink(path) for path in folder.iterdir() if path.is_symlink()}
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in links
    }
    return links, files


@pytest.mark.fault(120)
@pytest.mark.parametrize(
    ("before", "step"), [([], 2), ([8], 10), ([8], 8), ([2, 4, 6, 8], 10), ([2, 4, 6, 8], 8)]
)
def test_wherever_a_save_is_killed_the_next_start_has_a_whole_checkpoint(folder, before, step):
    """The first, a new step and a step again, with one checkpoint and with several."""
    run = folder / "run"
    run.mkdir()
    for earlier in before:
        save(run, earlier, 0, best=before[0])
    old, new = {(s, 0) for s in before[-1:]}, (step, 1)
    end = folder / "end"
    shutil.copytree(run, end, symlinks=True)
    save(end, step, 1, best=step)
    left = moments.left_by(lambda: save(run, step, 1, best=step), run, folder / "left")
    assert len(left) > 10
    assert content(run) == content(end)

    arrived = False
    for moment in left:
        assert all_whole(moment) >= old or new in all_whole(moment)
        reader = checkpoints.newest(moment)
        assert {whole(reader.path)} <= old | {new} if reader else not before
        usable = new in all_whole(moment)  # under whichever name
        start = checkpoints.newest(moment, repair=True)
        found = {whole(start.path)} if start else set()
        assert found == ({new} if usable else old)
        assert not [path.name for path in moment.iterdir() if path.name.startswith(".step")]
        assert usable >= arrived  # what was whole once stays so
        arrived = usable
        save(moment, step, 1, best=step)
        assert content(moment) == content(end)
    assert arrived


@pytest.mark.fault(120)
def test_a_checkpoint_that_is_whole_under_another_name_stands_in_for_a_damaged_one(folder):
    run = folder / "run"
    run.mkdir()
    save(run, 8, 0)
    left = moments.left_by(lambda: save(run, 8, 1), run, folder / "left")
    both = [moment for moment in left if all_whole(moment) == {(8, 0), (8, 1)}]
    for number, moment in enumerate(both):
        places = [moment / name for name in ("step-00000008", ".step-00000008.replaced")]
        [old] = [path for path in places if path.exists() and whole(path) == (8, 0)]
        (old / "tensors.safetensors").write_bytes(b"")
        assert whole(checkpoints.newest(moment, repair=True).path) == (8, 1), number
    assert len(both) > 1


@pytest.mark.fault(120)
def test_a_kill_before_old_ones_are_removed_is_made_up_for_by_the_next_start(folder):
    """The last step is saved, so that the next start has nothing to train or to save."""
    run, end = folder / "run", folder / "end"
    run.mkdir()
    for step in (2, 4, 6):
        save(run, step, 0, best=4)
    shutil.copytree(run, end, symlinks=True)
    save(end, 8, 1, best=8)
    for moment in moments.left_by(lambda: save(run, 8, 1, best=8), run, folder / "left"):
        start = checkpoints.newest(moment, repair=True)
        if start.step == 8:
            saver = Saver(moment, {}, lambda run, unfinished: {}, lambda: 8, keep=2)
            saver.saved_step = 8
            saver.finish(Run(8, 8))
            assert content(moment) == content(end)


@pytest.mark.fault(120)
def test_a_folder_of_another_kind_is_never_half_removed_under_its_name(folder):
    run = folder / "run"
    run.mkdir()

    def export(text):
        with atomic.replacing(run / "saved_model") as partial:
            (partial / "variables").mkdir(parents=True)
            for name in ("variables/data", "saved_model.pb"):
                (partial / name).write_text(text)

    def texts(path):
        files = {str(p.relative_to(path)): p.read_text() for p in path.rglob("*") if p.is_file()}
        return set(files.values()) if len(files) == 2 else {"half"}

    export("old")
    for moment in moments.left_by(lambda: export("new"), run, folder / "left"):
        found = {path.name: texts(path) for path in moment.iterdir()}
        assert found.get("saved_model", {"old"}) in ({"old"}, {"new"})
        assert {"old"} in found.values() or {"new"} in found.values()
    assert {path.name: texts(path) for path in run.iterdir()} == {"saved_model": {"new"}}
