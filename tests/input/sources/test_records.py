"""Shards of records as a source: ours, those of other programs, damaged ones."""

import concurrent.futures
import io
import os
import re
import resource
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.errors import DataError
from hw2.input import source
from hw2.input.files.rules import Rules
from hw2.input.sources import records, shard_writer
from tests.input.faulty import noise, refused, tree


@pytest.fixture
def root(tmp_path):
    return tree(tmp_path / "data", [f"{'ab'[i % 2]}/{i}.png" for i in range(7)])


@pytest.fixture
def shards(root, tmp_path):
    shard_writer.write(source.read(root), tmp_path / "out")
    return tmp_path / "out"


def encoded(seed=0):
    buffer = io.BytesIO()
    noise(seed).save(buffer, "PNG")
    return buffer.getvalue()


def write(path, examples):
    """A shard of another program: dictionaries of feature and value."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = {}
            for name, value in example.items():
                if isinstance(value, int):
                    feature = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
                else:
                    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                features[name] = feature
            record = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(record.SerializeToString())
    return path


def assert_same(shards, root):
    found, expected = source.read(shards), source.read(root)
    assert found.class_names == expected.class_names
    assert sorted(found.names) == sorted(expected.names)
    at = [expected.names.index(name) for name in found.names]
    np.testing.assert_array_equal(found.labels, expected.labels[at])
    np.testing.assert_array_equal(found.digests, expected.digests[at])
    for index, other in enumerate(at):
        np.testing.assert_array_equal(found.load(index, 20), expected.load(other, 20))
        assert found.content(index) == expected.content(other)


def test_shards_are_the_folder_they_were_made_of(root, shards):
    assert_same(shards, root)
    (shards / "index.npz").unlink()  # then every record is read
    assert_same(shards, root)
    [path] = shards.iterdir()
    assert len(source.read(path)) == 7


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "of other shards"])
def test_a_damaged_index_is_made_anew(root, shards, tmp_path, damage):
    index = shards / "index.npz"
    if damage == "of other shards":
        tree(root, ["a/new.png"])
        shard_writer.write(source.read(root), tmp_path / "other")
        shutil.copy(tmp_path / "other" / "index.npz", index)
        (root / "a" / "new.png").unlink()
    else:
        whole = index.read_bytes()
        index.write_bytes({"cut": whole[:-50], "empty": b"", "text": b"x"}[damage])
    assert_same(shards, root)


@pytest.mark.fault(155)
def test_names_and_classes_of_any_bytes(tmp_path):
    names = [b"\xff\xfe", "\N{CAT FACE}".encode(), b"a\nb", b"it's"]
    root = os.fsencode(tmp_path / "data")
    for seed, name in enumerate(names):
        os.makedirs(os.path.join(root, name))
        with open(os.path.join(root, name, name + b".png"), "wb") as file:
            noise(seed).save(file, "PNG")
    shard_writer.write(source.read(os.fsdecode(root)), tmp_path / "out")
    assert_same(tmp_path / "out", os.fsdecode(root))
    (tmp_path / "out" / "index.npz").unlink()
    assert_same(tmp_path / "out", os.fsdecode(root))


def test_shards_of_another_program(tmp_path):
    """With numbers for classes, without names; 10 comes after 9."""
    examples = [
        {"image/encoded": encoded(i), "image/class/label": label, "image/format": b"png"}
        for i, label in enumerate([10, 9, 2, 10])
    ]
    write(tmp_path / "train-00000-of-00002", examples[:3])
    write(tmp_path / "train-00001-of-00002", examples[3:])
    write(tmp_path / "validation-00000-of-00001", [{**examples[0], "image/encoded": encoded(9)}])
    found = source.read(tmp_path)
    assert found.class_names == ("2", "9", "10")
    assert found.labels.tolist() == [2, 1, 0, 2, 2]
    assert found.validation.tolist() == [False] * 4 + [True]
    assert found.names[0] == "train/train-00000-of-00002:0"
    np.testing.assert_array_equal(found.load(1, 30), noise(1))
    assert len(source.read(tmp_path, "validation", class_names=found.class_names)) == 1


def test_names_that_come_twice_are_numbered(tmp_path):
    examples = [
        {"image/encoded": encoded(i), "image/class/text": b"ab"[i : i + 1], "image/filename": b"x"}
        for i in range(2)
    ]
    found = source.read(write(tmp_path / "x.tfrecord", examples))
    assert found.names == ("0000000:x", "0000001:x")
    assert found.class_names == ("a", "b")


def test_several_threads_read_at_once(shards, root):
    found, expected = source.read(shards), source.read(root)
    at = {name: index for index, name in enumerate(expected.names)}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        contents = list(pool.map(found.content, list(range(7)) * 30))
    assert contents == [expected.content(at[name]) for name in found.names] * 30


# Faults.


@pytest.mark.parametrize(
    ("example", "why"),
    [
        ({"image/class/label": 1}, "has no image/encoded"),
        ({"image/encoded": b"x"}, "has neither image/class/text nor image/class/label"),
    ],
)
def test_records_without_picture_or_label(tmp_path, example, why):
    good = {"image/encoded": encoded(), "image/class/label": 0}
    path = write(tmp_path / "x.tfrecord", [good, example])
    assert refused(path) == (
        f"bad record in {path} - record 1 {why}; write it with hw2.commands.shard"
    )


@pytest.mark.fault(160)
def test_more_shards_than_files_may_be_open(tmp_path):
    for number in range(100):
        with tf.io.TFRecordWriter(str(tmp_path / f"{number:03}.tfrecord")) as writer:
            buffer = io.BytesIO()
            Image.new("L", (4, 4), number).save(buffer, "PNG")
            content = buffer.getvalue()
            writer.write(
                records.example(content, ["ab"[number % 2]], [number % 2], f"{number}.png")
            )
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = len(os.listdir("/proc/self/fd")) + records.OPEN + 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (room, before[1]))
    try:
        examples = source.read(tmp_path)
        levels = [int(examples.load(index, 4)[0, 0, 0]) for index in range(100)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert levels == list(range(100))


@pytest.mark.fault(160)
def test_a_shard_that_is_gone_is_named(shards, monkeypatch):
    monkeypatch.setattr(records, "OPEN", 0)
    examples = source.read(shards)
    for path in shards.glob("*.tfrecord"):
        path.unlink()
    with pytest.raises(DataError, match=r"bad picture in .* - no such file or directory; restore"):
        examples.load(0, 20)


def test_records_of_another_kind(tmp_path):
    path = tmp_path / "x.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\xff\xff\xff")
    assert refused(path) == (
        f"bad record in {path} - record 0 is not a tf.train.Example; "
        "write it with hw2.commands.shard"
    )


@pytest.mark.parametrize("fault", ["cut", "flipped", "text"])
def test_a_damaged_shard(shards, fault):
    (shards / "index.npz").unlink()
    [path] = shards.iterdir()
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little") + 16  # of the first record
    content = {
        "cut": whole[: length + 50],
        "flipped": whole[: length + 50] + bytes([whole[length + 50] ^ 1]) + whole[length + 51 :],
        "text": b"no record at all",
    }[fault]
    path.write_bytes(content)
    good = 0 if fault == "text" else 1
    assert refused(shards) == (
        f"bad shard in {path} - truncated or damaged after {good} records "
        f"({length if good else 0:,} of {len(content):,} bytes are good); write it again"
    )


def test_a_picture_in_a_shard_that_is_none(tmp_path):
    examples = [
        {
            "image/encoded": b"<html>" if i == 1 else encoded(i),
            "image/class/text": b"ab"[i % 2 : i % 2 + 1],
            "image/filename": b"%d.png" % i,
        }
        for i in range(4)
    ]
    path = write(tmp_path / "x.tfrecord", examples)
    why = 'not an image (starts with "<html>"); replace or remove it'
    bad = f"bad picture in {path} (1.png) - {why}"
    assert refused(path) == (
        f"bad pictures in {path} - 1 of 4 cannot be used; replace or remove them, or "
        f"--on_bad_file=skip --max_bad_fraction=0.25:\n  {bad}"
    )
    found = source.read(path, rules=Rules(on_bad_file="skip", max_bad_fraction=0.3))
    assert found.names == ("0.png", "2.png", "3.png")
    assert found.skipped == (("1.png", bad),)
    np.testing.assert_array_equal(found.load(1, 30), noise(2))


def test_a_shard_that_changes_after_the_scan(shards):
    found = source.read(shards)
    [path] = [p for p in shards.iterdir() if p.name != "index.npz"]
    whole = path.read_bytes()
    at = whole.index(b"IDAT") + 50
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([whole[at] ^ 1]))
    said = []
    for index in range(len(found)):
        try:
            found.load(index, 20)
        except DataError as error:
            said.append(str(error))
    assert len(said) == 1
    why = "content changed since scan; rerun the command, which scans again"
    assert re.fullmatch(
        rf"bad picture in {re.escape(str(shards))}.* \([ab]/\d\.png\) - {why}", said[0]
    )
    with path.open("r+b") as file:
        file.truncate(100)
    with pytest.raises(DataError) as caught:
        [found.load(index, 20) for index in range(len(found))]
    why = "- not the record that was there; rerun the command, which scans again"
    assert why in str(caught.value)


def test_classes(shards, tmp_path):
    assert refused(shards, "test", class_names=["a", "c"]) == (
        f"unknown classes in {shards}/pictures-00000-of-00001.tfrecord - b is not one of the 2 "
        "classes; leave those pictures out, or train a model on them"
    )
    found = source.read(shards, "test", class_names=["b", "c", "a"])
    assert found.class_names == ("b", "c", "a")
    assert {name[0]: label for name, label in zip(found.names, found.labels, strict=True)} == {
        "a": 2,
        "b": 0,
    }
    one = [{"image/encoded": encoded(), "image/class/label": 4}]
    path = write(tmp_path / "x.tfrecord", one)
    assert refused(path) == (f"no classes in {path} - one class only, 4; two are needed at least")


def test_what_is_a_shard(tmp_path):
    for name in ("a.tfrecord", "b.tfrecords", "train-00000-of-00010", "x-00001-of-00002.tfrecord"):
        (tmp_path / name).touch()
        assert records.shards(tmp_path / name, "train") == [str(tmp_path / name)]
    for name in ("a.txt", "train-0-of-1", "index.npz"):
        (tmp_path / name).touch()
        assert records.shards(tmp_path / name, "train") == []
    names = [os.path.basename(path) for path in records.shards(tmp_path, "train")]
    assert names == ["train-00000-of-00010"]
    assert records.shards(tmp_path, "test") == []
    assert not records.has_part(tmp_path, "test")
