"""Decoded pictures on disk: the same bytes, whatever happened to the folder before."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hw2.errors import RunError
from hw2.input.examples import joined
from hw2.input.files import decode
from hw2.input.sources import builtin, folder
from hw2.input.stream import disk_cache
from hw2.input.stream.disk_cache import INDEX, PIXELS, ROW, DiskCache

ROOT = Path(__file__).parents[3]


@pytest.fixture
def data(tmp_path):
    """A tree of twelve pictures of noise, two of the same content."""
    rng = np.random.default_rng(0)
    for index in range(12):
        path = tmp_path / "data" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, [20, 30 + index, 3], np.uint8)).save(path)
    (tmp_path / "data" / "a" / "copy.png").write_bytes((tmp_path / "data/a/0.png").read_bytes())
    return tmp_path / "data"


def counted(examples):
    """The same, and a list of what was decoded."""
    decoded = []

    def load(index, short_side):
        decoded.append((index, short_side))
        return examples.load(index, short_side)

    return dataclasses.replace(examples, load=load), decoded


def everything(examples, short_side=16):
    return [examples.load(index, short_side) for index in range(len(examples))]


def assert_same(some, others):
    for a, b in zip(some, others, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def start(data, cache, **options):
    """As another process would begin."""
    examples, decoded = counted(folder.read_folder(data))
    options = {"reserve": 0, **options}
    return disk_cache.kept(examples, str(cache), **options), decoded


def test_a_picture_is_decoded_once_for_all_starts(data, tmp_path):
    plain = everything(folder.read_folder(data))
    first, decoded = start(data, tmp_path / "cache")
    assert_same(everything(first), plain)
    assert_same(everything(first), plain)
    assert len(decoded) == 12  # of 13, as two are the same
    second, decoded = start(data, tmp_path / "cache")
    assert_same(everything(second), plain)
    assert decoded == []
    assert_same(everything(second, 9), everything(folder.read_folder(data), 9))  # other pixels
    assert len(decoded) == 12
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_what_is_renamed_is_found_and_what_changes_is_not(data, tmp_path):
    everything(start(data, tmp_path / "cache")[0])
    (data / "a" / "2.png").rename(data / "b" / "new.png")
    Image.new("RGB", (20, 20), "red").save(data / "b" / "3.png")
    examples, decoded = start(data, tmp_path / "cache")
    assert_same(everything(examples), everything(folder.read_folder(data)))
    assert [examples.names[index] for index, _ in decoded] == ["b/3.png"]


def test_another_decoder_begins_anew(data, tmp_path, monkeypatch):
    everything(start(data, tmp_path / "cache")[0])
    monkeypatch.setattr(decode, "VERSION", decode.VERSION + 1)
    examples, decoded = start(data, tmp_path / "cache")
    everything(examples)
    assert len(decoded) == 12


def test_content_that_changed_unseen_is_not_kept_under_the_old_digest(data, tmp_path):
    examples, _ = start(data, tmp_path / "cache")
    path = data / "a" / "4.png"
    status = path.stat()
    content = bytearray(path.read_bytes())
    Image.new("RGB", (34, 20), "red").save(path)
    path.write_bytes(path.read_bytes().ljust(len(content), b"\0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # size and time as before
    index = examples.names.index("a/4.png")
    assert examples.load(index, 16)[0, 0].tolist() == [255, 0, 0]
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    again, _ = start(data, tmp_path / "cache")
    np.testing.assert_array_equal(again.load(index, 16), folder.read_folder(data).load(index, 16))


def spoil(path, how):
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    elif how == "noise":
        size = path.stat().st_size
        path.write_bytes(np.random.default_rng(2).integers(0, 256, size, np.uint8).tobytes())
    elif how == "flipped":
        content = np.fromfile(path, np.uint8)
        content[:: ROW.itemsize - 1] ^= 4  # something in every row, or every picture
        content.tofile(path)
    elif how == "swapped":  # rows that are whole, but tell of another picture
        content = np.fromfile(path, ROW)
        content["digest"] = np.roll(content["digest"], 1)
        content.tofile(path)
    elif how == "huge":
        content = np.fromfile(path, ROW)
        content["height"], content["width"] = 2**31 - 1, 2**31 - 1
        content.tofile(path)


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        *((suffix, how) for suffix in (PIXELS, INDEX) for how in ("gone", "empty", "cut", "noise")),
        (PIXELS, "flipped"),
        (INDEX, "flipped"),
        (INDEX, "swapped"),
        (INDEX, "huge"),
    ],
)
def test_damage_costs_time_and_no_pixel(data, tmp_path, suffix, how):
    everything(start(data, tmp_path / "cache")[0])
    [path] = (tmp_path / "cache").rglob(f"*{suffix}")
    spoil(path, how)
    examples, decoded = start(data, tmp_path / "cache")
    plain = everything(folder.read_folder(data))
    assert_same(everything(examples), plain)
    assert decoded
    again, decoded = start(data, tmp_path / "cache")
    assert_same(everything(again), plain)
    assert decoded == []  # what was damaged has been made up for


KILLED = """
import sys, numpy as np
from hw2.input.stream.disk_cache import DiskCache
cache = DiskCache(sys.argv[1], reserve=0, warn=print)
print("ready", flush=True)
for number in range(10**6):
    cache.put(b"%016d" % number, np.full([200, 300, 3], number % 251, np.uint8))
"""


def test_a_kill_at_any_moment_leaves_only_whole_pictures(tmp_path):
    for delay in (0.02, 0.05):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        process.stdout.readline()
        threading.Event().wait(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    cache = DiskCache(str(tmp_path), reserve=0, warn=print)
    found = 0
    while (picture := cache.get(b"%016d" % found)) is not None:
        assert picture.shape == (200, 300, 3)
        assert (picture == found % 251).all()
        found += 1
    assert found > 0
    assert found == len(np.unique(cache.rows["digest"]))


def test_threads_and_processes_share_a_folder(tmp_path):
    first, second = (DiskCache(str(tmp_path), reserve=0, warn=print) for _ in range(2))

    def work(cache, offset):
        for number in range(offset, offset + 40):
            cache.put(b"%d" % number, np.full([3, number + 1, 1], number, np.uint8))
            assert cache.get(b"%d" % number).shape == (3, number + 1, 1)

    threads = [
        threading.Thread(target=work, args=(cache, offset))
        for cache in (first, second)
        for offset in (0, 20, 60)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    third = DiskCache(str(tmp_path), reserve=0, warn=print)
    for number in range(100):
        np.testing.assert_array_equal(
            third.get(b"%d" % number), np.full([3, number + 1, 1], number, np.uint8)
        )
    assert third.get(b"100") is None
    assert third.get(b"") is None


def test_a_picture_that_two_threads_decode_at_once_is_kept_once(tmp_path):
    cache = DiskCache(str(tmp_path), reserve=0, warn=print)
    for _ in range(2):
        cache.put(b"same", np.ones([3, 3, 3], np.uint8))
    [pixels] = tmp_path.glob(f"*{PIXELS}")
    assert pixels.stat().st_size == 27


def test_a_full_disk_is_named_once_and_training_goes_on(data, tmp_path, monkeypatch):
    told = []
    examples, decoded = start(data, tmp_path / "cache", warn=told.append)
    examples.load(0, 16)
    plain_write = os.write

    def write(descriptor, content):
        if len(content) > ROW.itemsize:  # a part is taken, then nothing
            plain_write(descriptor, content[:5])
            raise OSError(28, "No space left on device")
        return plain_write(descriptor, content)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        assert_same(everything(examples), everything(folder.read_folder(data)))
    [words] = told
    assert words.startswith(f"no more pictures are kept in {tmp_path / 'cache'}")
    assert words.endswith("no space left on device; the others are decoded every time")
    again, decoded = start(data, tmp_path / "cache")
    assert_same(everything(again), everything(folder.read_folder(data)))
    assert len(decoded) == 11


def test_room_is_left_on_the_disk(data, tmp_path, capsys):
    space = os.statvfs(tmp_path)
    reserve = 2 * space.f_blocks * space.f_frsize
    examples, _ = start(data, tmp_path / "cache", reserve=reserve)
    assert_same(everything(examples), everything(folder.read_folder(data)))
    err = capsys.readouterr().err
    assert re.fullmatch(
        r"warning: no more pictures are kept in .* - no space left but the \d+ megabytes to keep "
        r"free; the others are decoded every time\n",
        err,
    )


def test_a_folder_that_cannot_be_made_is_named(data, tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "cache"
    with pytest.raises(RunError, match=re.escape(f"cannot write {path} - not a directory")):
        start(data, path)


def test_what_needs_no_decoding_is_not_kept(tmp_path):
    digits = builtin.load("digits", "train")
    same = disk_cache.kept(digits, str(tmp_path / "cache"))
    assert same.load is digits.load
    assert same.notes[-1] == "nothing is kept on disk: these pictures need no decoding"
    assert not (tmp_path / "cache").exists()


def test_a_joined_source_is_kept_as_a_whole(data, tmp_path):
    both = joined(folder.read_folder(data), folder.read_folder(data))
    counting, decoded = counted(both)
    examples = disk_cache.kept(counting, str(tmp_path / "cache"), reserve=0)
    assert_same(everything(examples), everything(both))
    assert len(decoded) == 12
