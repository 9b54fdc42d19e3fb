"""Faults of folders: parts and classes, our own files, suffixes, placeholders."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from hw2.errors import DataError
from hw2.input import source
from hw2.input.files.rules import Rules
from hw2.input.sources import layout, shard_writer, unlabelled
from hw2.input.stream import disk_cache
from tests.input.faulty import noise, refused, tree

PART = ("a/1.png", "b/2.png")


def parts(root, *names):
    for name in names:
        tree(root, [f"{name}/{file}" for file in PART])
    return root


@pytest.mark.fault(80)
def test_parts_beside_another_folder_of_pictures(tmp_path):
    root = parts(tmp_path, "train", "val", "test", "nested")
    assert refused(root) == (
        f"parts among classes in {root} - test, train, val look like parts of a data set, but "
        f"nested holds pictures too; if they are parts, give --train_data_path={root}/train "
        f"--test_data_path={root}/test, or move nested out of {root}; if they are classes, rename "
        "them"
    )
    assert source.read(root / "train").class_names == ("a", "b")  # as the message says
    (root / "nested").rename(tmp_path.parent / f"{tmp_path.name}-nested")
    assert len(source.read(root, rules=Rules())) == 4


@pytest.mark.fault(80)
@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("train2017", "val2017"),
        ("TrainImages", "TestImages"),
        ("train-data", "Validation Data"),
        ("imgs_train", "testing"),
        ("\u8bad\u7ec3\u96c6", "\u6d4b\u8bd5\u96c6"),
    ],
)
def test_spellings_of_parts(tmp_path, train, test):
    root = parts(tmp_path, train, test)
    examples = source.read(root)
    assert examples.class_names == ("a", "b")
    assert len(source.read(root, "test")) == 2
    if layout.part_of(test) == "validation":
        assert examples.validation.tolist() == [False, False, True, True]
    else:
        assert examples.notes == (f"{root}/{test} is not used; --test_data_path={root} scores it",)


@pytest.mark.fault(80)
def test_names_that_only_contain_the_name_of_a_part(tmp_path):
    root = tree(tmp_path, ["train/1.png", "test_tube/2.png", "trains/3.png", "value/4.png"])
    assert source.read(root).class_names == ("test_tube", "train", "trains", "value")


@pytest.mark.fault(80)
def test_classes_that_all_hold_folders_of_the_same_names(tmp_path):
    root = tree(tmp_path, ["2019/cat/1.png", "2019/dog/2.png", "2020/cat/3.png", "2020/dog/4.png"])
    assert refused(root) == (
        f"the same folders in every class of {root} - 2019, 2020 all hold cat, dog; if those are "
        f"the classes, give --train_data_path={root}/2019, or join the folders; if 2019, 2020 are "
        "the classes, give --allow_same_folders"
    )
    assert source.read(root / "2019").class_names == ("cat", "dog")
    assert source.read(root, rules=Rules(allow_same_folders=True)).class_names == ("2019", "2020")
    inside = tree(tmp_path / "in", ["cat/train/1.png", "cat/test/2.png", "dog/train/3.png"])
    tree(inside, ["dog/test/4.png"])
    assert "all hold test, train; put the parts first, as train/CLASS; if cat, dog" in refused(
        inside
    )
    one = tree(tmp_path / "one", ["cat/images/1.png", "dog/images/2.png"])
    assert len(source.read(one)) == 2  # as Tiny ImageNet has it


@pytest.mark.fault(81)
@pytest.mark.parametrize(
    "texts", [["labels/1.txt"], ["labels/a/1.txt", "meta/x.json"], ["labels/"]]
)
def test_folders_of_texts_beside_parts(tmp_path, scan, texts):
    root = parts(tmp_path / "data", "train", "val")
    for text in texts:
        (root / text).parent.mkdir(parents=True, exist_ok=True)
        (root / text).mkdir() if text.endswith("/") else (root / text).write_text("0 0.5 0.5")
    examples = source.read(root)
    assert examples.class_names == ("a", "b")
    names = ", ".join(sorted({text.split("/")[0] for text in texts}))
    assert examples.notes == (f"{names} left out, without pictures",)
    code, out, _ = scan(root)
    assert code == 0
    assert f"note: {names} left out, without pictures" in out


@pytest.mark.fault(82)
def test_scan_and_training_agree_on_a_flat_test_folder(tmp_path, scan):
    root = parts(tmp_path / "data", "train")
    tree(root, ["test/1.png", "test/2.png"])
    assert source.read(root).notes == (
        f"{root}/test is not used; it has no class folders; predict.py classifies it",
    )
    code, out, _ = scan(root)
    assert code == 0
    assert f"note: {root}/test has no class folders, and is not scored" in out


@pytest.mark.fault(82)
@pytest.mark.parametrize("fault", ["labels", "val", "unknown", "conflict"])
def test_scan_and_training_refuse_the_same(tmp_path, scan, fault):
    root = tmp_path / "data"
    if fault in ("labels", "conflict"):
        tree(root)
        (root / "labels").mkdir()
    if fault == "conflict":
        (root / "labels").rmdir()
        shutil.copy(root / "a" / "good.png", root / "b" / "same.png")
        tree(root, ["a/more.png"])
    if fault == "val":
        tree(parts(root, "train"), ["val/1.png"])
    if fault == "unknown":
        tree(parts(root, "train", "val"), ["val/other/1.png"])
    why = refused(root)
    code, out, err = scan(root)
    assert code == 3
    assert why.split("; ")[0] in out + err


@pytest.mark.fault(83)
@pytest.mark.parametrize("where", ["run", "runs/one", "a/run"])
def test_run_folders_within_the_data(tmp_path, where):
    root = tree(tmp_path)
    run = tree(root, [f"{where}/report/picture.png"]) / where
    (run / "flags.cfg").write_text("")
    (run / "checkpoints").mkdir()
    examples = source.read(root)
    assert examples.class_names == ("a", "b")
    assert examples.names == ("a/good.png", "b/good.png")
    words = {
        "run": "run is left out: a run folder of hw2",
        "runs/one": "runs is left out: it holds a run folder of hw2",
        "a/run": "ignored 1 run folder of hw2",
    }
    assert examples.notes == (words[where],)
    found = unlabelled.find_pictures(root, ["a", "b"])
    assert list(found.names) == ["a/good.png", "b/good.png"]


@pytest.mark.fault(83)
def test_shards_and_caches_within_the_data(tmp_path):
    root = tree(tmp_path)
    examples = source.read(root)
    shard_writer.write(examples, root / "shards")
    disk_cache.kept(examples, str(root / "cache")).load(0, 8)
    again = source.read(root)
    assert again.names == examples.names
    assert again.notes == (
        "cache is left out: a cache of decoded pictures of hw2",
        "shards is left out: shards of hw2",
    )


@pytest.mark.fault(87)
def test_a_test_set_of_one_class(tmp_path):
    root = tree(tmp_path / "T", ["cat/1.png", "cat/2.png"])
    known = ("cat", "dog")
    examples = source.read(root, "test", class_names=known).with_classes(known)
    assert examples.labels.tolist() == [0, 0]
    assert examples.notes == ("no picture of dog",)
    shard_writer.write(examples, tmp_path / "shards")
    assert len(source.read(tmp_path / "shards", "test", class_names=known)) == 2
    with pytest.raises(DataError, match="one class folder only, cat"):
        source.read(root)


@pytest.mark.fault(87)
def test_a_validation_part_of_one_class(tmp_path, scan):
    root = tree(parts(tmp_path / "data", "train"), ["val/b/9.png"])
    examples = source.read(root)
    assert examples.validation.tolist() == [False, False, True]
    assert examples.labels.tolist() == [0, 1, 1]
    assert scan(root)[0] == 0


@pytest.mark.fault(94)
@pytest.mark.parametrize("name", ["x.jfif", "x.JPE", "IMG_1", "x.thm", "x.dat"])
def test_pictures_of_another_suffix(tmp_path, name):
    root = tree(tmp_path, ["a/1.png"])
    (root / "b").mkdir()
    noise(5).save(root / "b" / name, "JPEG")
    (root / "b" / "notes").write_text("BMW and other cars")
    examples = source.read(root)
    assert examples.names == ("a/1.png", f"b/{name}")
    assert len(unlabelled.find_pictures(root / "b" / name, ["a", "b"])) == 1
    assert len(unlabelled.find_pictures(root / "b", ["a", "b"])) == 1


@pytest.mark.fault(94)
def test_an_empty_class_says_what_is_there_instead(tmp_path):
    root = tree(tmp_path, ["a/1.png", "c/1.png"])
    (root / "b").mkdir()
    for number in range(3):
        (root / "b" / f"{number}.txt").write_text("0")
    assert refused(root) == (
        f"empty classes in {root} - no picture in b (ignored 3 .txt); fill or remove them, or "
        "--allow_empty_class keeps their numbers, or --skip_empty_class"
    )
    assert source.read(root, rules=Rules(skip_empty_class=True)).class_names == ("a", "c")


@pytest.mark.fault(103)
def test_placeholders_of_pictures_that_are_not_downloaded(tmp_path):
    root = tree(tmp_path, ["a/1.png", "c/1.png"])
    for name in ("a/.x.jpg.icloud", "a/.y.PNG.icloud", "a/.z.txt.icloud"):
        (root / name).write_bytes(b"bplist00")
    note = "ignored 2 placeholders of iCloud, whose pictures are not downloaded"
    assert source.read(root).notes == (note,)
    assert unlabelled.find_pictures(root, ["a", "c"]).notes[-1] == note
    (root / "b").mkdir()
    (root / "b" / ".x.jpg.icloud").write_bytes(b"bplist00")
    why = "no picture in b (ignored 1 placeholders of iCloud, whose pictures are not downloaded)"
    assert why in refused(root)


@pytest.mark.fault(103)
def test_pointers_of_git_lfs(tmp_path):
    root = tree(tmp_path, ["a/1.png", "b/1.png"])
    (root / "b" / "2.png").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    assert "b/2.png - a pointer of Git LFS, not the picture itself; run git lfs pull" in refused(
        root
    )


@pytest.mark.fault(98)
@pytest.mark.parametrize("seconds", [9_224_318_016, 15_000_000_000, -2_145_916_800])
def test_files_of_any_date(tmp_path, seconds):
    root = tree(tmp_path / "data")
    path = root / "a" / "good.png"
    os.utime(path, (seconds, seconds))
    if abs(os.stat(path).st_mtime - seconds) > 1:
        pytest.skip("this disk has no such date")
    rules = Rules(cache_folder=str(tmp_path / "cache"))
    for _ in range(2):  # the second reads what the first has noted
        examples = source.read(root, rules=rules)
        assert examples.load(0, 30).shape == (30, 40, 3)


@pytest.mark.fault(79)
def test_pictures_of_nearly_one_level_in_files(tmp_path, scan):
    root = tree(tmp_path, ["a/1.png", "b/2.png"])
    rng = np.random.default_rng(0)
    cap = rng.integers(3, 9, [200, 200, 3], np.uint8)  # the noise of a camera in the dark
    cap[50, 50] = 255  # a hot pixel
    Image.fromarray(cap).save(root / "a" / "cap.jpg")
    Image.fromarray(rng.integers(0, 1024, [30, 30], np.uint16)).save(root / "b" / "ten bits.png")
    busy = rng.integers(110, 150, [200, 200, 3], np.uint8)  # an eighth of its size is even grey
    Image.fromarray(busy).save(root / "b" / "busy.jpg", quality=95)
    note = (
        "nearly all of one level, as behind a lens cap or on a wrong scale, 2 of 5: a/cap.jpg, "
        "b/ten bits.png"
    )
    assert source.read(root).notes == (note,)
    for _ in range(2):  # the second time from the manifest
        assert f"note: {note}" in scan(root)[1]
