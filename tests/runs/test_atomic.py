"""A reader sees the old content or the new; a failure leaves the old, and nothing beside it."""

import os

import pytest

from hw2.runs import atomic


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def test_the_old_content_stays_until_the_block_ends(path):
    with atomic.replacing(path) as partial:
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_content_and_nothing_else(path, error):
    def fail():
        with atomic.opened(path) as file:
            file.write("new")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file"]


@pytest.mark.fault(179)
def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="a device or a pipe, not a file"):
        atomic.write(tmp_path / "pipe", b"new")
    assert (tmp_path / "pipe").is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_what_the_disk_refuses_leaves_the_old_content(path, monkeypatch, name):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, name, refuse)
    with pytest.raises(OSError, match="No space left"):
        atomic.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["file"]


def test_the_bytes_are_on_the_disk_before_the_name(path, monkeypatch):
    calls = []
    flush, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: calls.append("fsync") or flush(handle))
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("replace") or rename(*names))
    atomic.write(path, b"new")
    assert calls == ["fsync", "replace"]


def test_a_folder_replaces_a_folder(tmp_path):
    path = tmp_path / "folder"
    for name in ("old", "new"):
        with atomic.replacing(path) as partial:
            (partial / "inner").mkdir(parents=True)
            (partial / "inner" / name).write_text(name)
    assert os.listdir(path / "inner") == ["new"]
    assert os.listdir(tmp_path) == ["folder"]


def test_text_keeps_its_line_ends_and_names_that_are_not_utf_8(path):
    with atomic.opened(path) as file:
        file.write("a\r\nb\n" + os.fsdecode(b"\xff"))
    assert path.read_bytes() == b"a\r\nb\n\xff"


def test_two_writers_at_once_do_not_share_a_temporary_file(path):
    with atomic.opened(path) as first, atomic.opened(path) as second:
        first.write("first")
        second.write("second")
    assert path.read_bytes() == b"first"  # whose block ended last
