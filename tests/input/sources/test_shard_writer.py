"""The writer of shards; test_records.py reads them."""

import dataclasses
import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.errors import DataError, RunError
from hw2.input import source
from hw2.input.sources import shard_writer
from tests.input.faulty import ROOT, noise, tree


@pytest.fixture
def root(tmp_path):
    return tree(tmp_path / "data", [f"{'ab'[i % 2]}/{i}.png" for i in range(7)])


def test_the_bytes_of_the_files_are_kept(root, tmp_path):
    noise(3).save(root / "a" / "x.jpg")
    paths = shard_writer.write(source.read(root), tmp_path / "out")
    assert [os.path.basename(path) for path in paths] == ["pictures-00000-of-00001.tfrecord"]
    assert sorted(os.listdir(tmp_path / "out")) == ["index.npz", os.path.basename(paths[0])]
    found = {}
    for record in tf.data.TFRecordDataset(paths).as_numpy_iterator():  # as any program reads them
        fields = tf.train.Example.FromString(record).features.feature
        [name] = fields["image/filename"].bytes_list.value
        [text] = fields["image/class/text"].bytes_list.value
        [label] = fields["image/class/label"].int64_list.value
        assert name.startswith(text)
        assert label == b"ab".index(text)
        [found[name.decode()]] = fields["image/encoded"].bytes_list.value
    assert len(found) == 8
    for name, content in found.items():
        assert (root / name).read_bytes() == content


def test_images_that_can_only_be_loaded_are_refused(root, tmp_path):
    examples = dataclasses.replace(source.read(root), content=None)
    with pytest.raises(ValueError, match=r"must give the content of each image, got content=None"):
        shard_writer.write(examples, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_classes_are_mixed_the_same_way_each_time(root, tmp_path):
    orders = []
    for name in ("one", "two"):
        [path] = shard_writer.write(source.read(root), tmp_path / name)
        orders.append(list(tf.data.TFRecordDataset(path).as_numpy_iterator()))
    assert orders[0] == orders[1]
    labels = [r.index(b"\x0a\x01a") > 0 if b"\x0a\x01a" in r else False for r in orders[0]]
    assert labels != sorted(labels)
    assert labels != sorted(labels, reverse=True)


@pytest.mark.fault(178)
def test_parts_have_shards_of_their_own(tmp_path):
    names = [f"{part}/{label}/{i}.png" for part in ("train", "val") for label in "ab" for i in "12"]
    before = source.read(tree(tmp_path / "data", names))
    paths = shard_writer.write(before, tmp_path / "out")
    assert [os.path.basename(path) for path in paths] == [
        "train-00000-of-00001.tfrecord",
        "validation-00000-of-00001.tfrecord",
    ]
    after = source.read(tmp_path / "out")
    assert sorted(after.names) == sorted(before.names)
    at = [before.names.index(name) for name in after.names]
    np.testing.assert_array_equal(after.validation, before.validation[at])
    np.testing.assert_array_equal(after.labels, before.labels[at])
    np.testing.assert_array_equal(after.digests, before.digests[at])
    os.remove(tmp_path / "out" / "index.npz")
    assert sorted(source.read(tmp_path / "out").names) == sorted(before.names)


def test_what_tensorflow_cannot_write_is_told(root, tmp_path, monkeypatch):
    def full(self, record):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.io.TFRecordWriter, "write", full)
    with pytest.raises(RunError, match=r"cannot write .*out - No space left on device; make room"):
        shard_writer.write(source.read(root), tmp_path / "out")
    assert not os.listdir(tmp_path / "out")


def test_several_shards(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, [9, 400, 400, 3], np.uint8)  # 0.5 MB each
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "x_labels.npy", np.arange(9) % 3)
    paths = shard_writer.write(source.read(tmp_path / "x.npy"), tmp_path / "out", shard_mb=1)
    count = len(paths)
    assert count == 3  # of three pictures each: the third fills a megabyte
    assert sorted(os.listdir(tmp_path / "out")) == [
        "index.npz",
        *(f"pictures-{number:05d}-of-{count:05d}.tfrecord" for number in range(count)),
    ]
    examples = source.read(tmp_path / "out")
    for index, name in enumerate(examples.names):
        np.testing.assert_array_equal(examples.load(index, 400), images[int(name)])


def test_arrays_become_png(tmp_path):
    [path] = shard_writer.write(source.read("digits"), tmp_path / "out")
    record = next(iter(tf.data.TFRecordDataset(path).as_numpy_iterator()))
    [content] = (
        tf.train.Example.FromString(record).features.feature["image/encoded"].bytes_list.value
    )
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (8, 8), "L")


def test_folders_that_are_not_empty_are_refused(root, tmp_path):
    with pytest.raises(DataError) as caught:
        shard_writer.write(source.read(root), root)
    assert str(caught.value) == f"no room in {root} - the folder is not empty; give a new one"
    with pytest.raises(RunError, match=r"^cannot write /dev/null/x - not a directory; "):
        shard_writer.write(source.read(root), "/dev/null/x")


def test_the_command(root, tmp_path, monkeypatch, capsys, command):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert command("shard", root, tmp_path / "out") == 0
    out, err = capsys.readouterr()
    assert out == "7 pictures in 1 shards, 0.0 MB\n"
    assert err == ""
    (root / "a" / "bad.png").touch()
    assert command("shard", root, tmp_path / "other") == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"error: bad pictures in {root} - 1 of 8 cannot be used; replace or remove them, or "
        f"--on_bad_file=skip --max_bad_fraction=0.125:\n"
        f"  bad picture in {root}/a/bad.png - empty; replace or remove it\n"
    )
    assert not (tmp_path / "other").exists()


def test_a_part_by_its_name(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = tree(tmp_path / "data", ["train/a/1.png", "train/b/2.png", "test/a/3.png"])
    tree(root, ["test/b/4.png", "test/b/5.png"])
    assert command("shard", root, tmp_path / "out", "--part=test") == 0
    assert capsys.readouterr().out.startswith("3 pictures in 1 shards, ")
    assert sorted(source.read(tmp_path / "out").names) == ["a/3.png", "b/4.png", "b/5.png"]


def test_a_picture_that_is_gone_leaves_no_shard(root, tmp_path):
    examples = source.read(root)
    (root / "b" / "5.png").unlink()
    with pytest.raises(DataError) as caught:
        shard_writer.write(examples, tmp_path / "out")
    assert str(caught.value) == (
        f"bad picture in {root}/b/5.png - no such file; restore or remove it"
    )
    assert not [n for n in os.listdir(tmp_path / "out") if n.endswith((".tfrecord", ".npz"))]
    (root / "b" / "5.png").write_bytes((root / "b" / "3.png").read_bytes())
    shard_writer.write(source.read(root), tmp_path / "out2")
    shard_writer.write(
        source.read(root), tmp_path / "out"
    )  # what was left does not stand in the way


@pytest.mark.slow
def test_as_a_program(root, tmp_path):
    words = [sys.executable, "-m", "hw2", "shard", str(root), str(tmp_path / "out")]
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    process = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    assert process.stdout == "7 pictures in 1 shards, 0.0 MB\n"
