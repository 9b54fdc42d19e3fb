"""A call that a disk does not know is done without; what loses data is an error."""

import errno
import os
import re
import stat
import warnings
from pathlib import Path

import numpy as np
import pytest

from hw2.errors import RunError
from hw2.runs import atomic, checkpoints, lock, retention

TENSORS = {"w": np.float32([1, 2])}


def refusing(number, only=lambda *arguments: True, call=None):
    """A system call that answers with an error, for some arguments."""

    def refused(*arguments, **options):
        if call is None or only(*arguments):
            raise OSError(number, os.strerror(number))
        return call(*arguments, **options)

    return refused


def is_folder(handle):
    return stat.S_ISDIR(os.fstat(handle).st_mode)


@pytest.mark.fault(90)
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF])
def test_a_disk_that_cannot_flush_folders_keeps_checkpoints(tmp_path, monkeypatch, number):
    monkeypatch.setattr(os, "fsync", refusing(number, is_folder, os.fsync))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")  # what users have: the same words once
        for step in (1, 2, 3, 3):
            checkpoints.write(tmp_path / "checkpoints", step, TENSORS, {})
        with atomic.replacing(tmp_path / "saved_model") as partial:
            partial.mkdir()
    assert checkpoints.newest(tmp_path / "checkpoints").step == 3
    words = (
        f"no flush on the disk of {tmp_path / 'checkpoints'} - {os.strerror(number).lower()}; if "
        "the power fails, what was written last may be lost"
    )
    assert [str(one.message) for one in told].count(words) == 1
    assert len(told) <= 2  # one for each folder that a user knows


@pytest.mark.fault(90)
def test_a_disk_without_advice_truncation_links_or_memory_maps(tmp_path, monkeypatch):
    for name in ("posix_fadvise", "truncate"):
        monkeypatch.setattr(os, name, refusing(errno.ENOSYS))
    monkeypatch.setattr(checkpoints, "load_file", refusing(errno.ENODEV))
    monkeypatch.setattr(Path, "symlink_to", refusing(errno.EPERM))
    with lock.held(tmp_path):
        checkpoints.write(tmp_path / "checkpoints", 1, TENSORS, {})
    with pytest.warns(UserWarning, match="no link .*last: Operation not permitted"):
        retention.prune(tmp_path / "checkpoints", keep=1, best_step=-1)
    found = checkpoints.newest(tmp_path / "checkpoints")
    np.testing.assert_array_equal(found.tensors()["w"], TENSORS["w"])


@pytest.mark.fault(90)
def test_a_folder_that_cannot_be_opened_is_not_flushed(tmp_path, monkeypatch):
    def only(path, *flags):
        return os.path.isdir(path)

    monkeypatch.setattr(os, "open", refusing(errno.EACCES, only, os.open))
    with pytest.warns(UserWarning, match=r"no flush on the disk of .* - permission denied; if"):
        checkpoints.write(tmp_path, 1, TENSORS, {})
    assert checkpoints.newest(tmp_path).step == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("only", [is_folder, lambda handle: not is_folder(handle)])
def test_what_loses_data_is_an_error(tmp_path, monkeypatch, number, only):
    monkeypatch.setattr(os, "fsync", refusing(number, only, os.fsync))
    words = re.escape(f"checkpoint not written in {tmp_path / 'step-00000001'} - ")
    with pytest.raises(RunError, match=words + os.strerror(number)):
        checkpoints.write(tmp_path, 1, TENSORS, {})
