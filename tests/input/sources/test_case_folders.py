"""What is wrong with folders and names, case by case, each in a real folder.

Tests of case NN are called test_case_NN_..., here and, of whole trainings, in
tests/training/test_data.py.

| case | what |
|---|---|
| 21 | FIFO, socket, device named x.png |
| 22 | a folder named x.png |
| 23 | links: dangling, in a circle, out of the root; also test_folder.py: test_links_... |
| 24 | what systems leave behind |
| 25 | a class without pictures |
| 26 | one class, no class, nothing |
| 27 | names of any bytes; twins in Unicode; also in training |
| 28 | classes that differ in case |
| 29 | `[ ] * ?` in paths; also in training |
| 30 | the same picture in two classes, or twice in one |
| 31 | the same picture in two parts; also in training |
| 32 | a part lacks a class, or has another |
| 33 | a file or folder that may not be read |
| 34 | data that changed between two starts; in training only |
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from hw2.input import source
from hw2.input.files.rules import Rules
from tests.input.faulty import ROOT, listed, noise, read_in_a_process, refused, tree

LAYOUT = "the layout is ROOT/CLASS/.../PICTURE.jpg, with two classes at least"


@pytest.fixture
def root(tmp_path):
    """Class folders a and b, with a good picture each."""
    return tree(tmp_path / "data")


@pytest.mark.fault(21)
def test_case_21_what_would_hang_a_reader(root, monkeypatch):
    os.mkfifo(root / "a" / "fifo.png")
    monkeypatch.chdir(root)  # paths of sockets are short
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind("a/socket.png")
    (root / "a" / "device.png").symlink_to("/dev/zero")
    said, _ = read_in_a_process(root)  # where it would hang, the time of the process runs out
    why = "not a regular file; remove it"
    link = "link out of the root, to /dev/zero; --allow_outside_links follows it"
    reasons = {"a/fifo.png": why, "a/socket.png": why, "a/device.png": link}
    assert said == [listed(root, reasons)]
    assert refused(root, allow_outside_links=True) == listed(root, {**reasons, "a/device.png": why})


@pytest.mark.fault(22)
def test_case_22_a_folder_named_like_a_picture(root):
    tree(root, ["a/x.png/inside.png"])
    examples = source.read(root)
    assert examples.names == ("a/good.png", "b/good.png")
    assert examples.notes == ("ignored 1 folders named like pictures",)


@pytest.mark.fault(23)
def test_case_23_links(root, tmp_path):
    (root / "a" / "dangling.png").symlink_to("nowhere.png")
    (root / "a" / "itself.png").symlink_to("itself.png")
    tree(tmp_path / "elsewhere", ["x.png"])
    (root / "b" / "outside.png").symlink_to(tmp_path / "elsewhere" / "x.png")
    (root / "b" / "circle").symlink_to(root)
    target = os.path.realpath(tmp_path / "elsewhere" / "x.png")
    reasons = {
        "a/dangling.png": "dangling link; restore or remove it",
        "a/itself.png": "too many levels of symbolic links; make it readable, or remove it",
        "b/outside.png": f"link out of the root, to {target}; --allow_outside_links follows it",
    }
    assert refused(root) == listed(root, reasons)
    (root / "a" / "dangling.png").unlink()
    (root / "a" / "itself.png").unlink()
    examples = source.read(root, rules=Rules(allow_outside_links=True))
    assert examples.names == ("a/good.png", "b/good.png", "b/outside.png")
    assert examples.notes == ("ignored 2 links to folders read already",)


@pytest.mark.fault(24)
def test_case_24_what_systems_leave_behind(root):
    tree(root, [".ipynb_checkpoints/x.png", "__MACOSX/x.png", "a/.ipynb_checkpoints/x.png"])
    tree(root, ["a/._x.png", "b/__MACOSX/x.png"])
    for name in (".DS_Store", "a/.DS_Store", "a/Thumbs.db", "b/desktop.ini"):
        (root / name).write_text("?")
    examples = source.read(root)
    assert examples.class_names == ("a", "b")
    assert examples.names == ("a/good.png", "b/good.png")
    assert examples.notes == ()


@pytest.mark.fault(25)
def test_case_25_a_class_without_pictures(root):
    (root / "aa").mkdir()
    assert refused(root) == (
        f"empty classes in {root} - no picture in aa; fill or remove them, or "
        "--allow_empty_class keeps their numbers, or --skip_empty_class"
    )
    examples = source.read(root, rules=Rules(allow_empty_class=True))
    assert examples.class_names == ("a", "aa", "b")
    assert examples.labels.tolist() == [0, 2]
    (root / "aa" / "x.png").touch()  # empty once the bad file is left out
    assert refused(root, on_bad_file="skip", max_bad_fraction=0.5).startswith(
        f"empty classes in {root} - no picture in aa (1 bad); "
    )


@pytest.mark.fault(26)
def test_case_26_no_classes(tmp_path):
    (tmp_path / "empty").mkdir()
    flat = tree(tmp_path / "flat", ["x.png", "y.png"])
    single = tree(tmp_path / "single", ["cats/x.png", "cats/deeper/y.png"])
    assert refused(tmp_path / "empty") == (
        f"no classes in {tmp_path}/empty - no class folders; {LAYOUT}"
    )
    assert refused(flat) == f"no classes in {flat} - no class folders; {LAYOUT}"
    assert refused(single) == f"no classes in {single} - one class folder only, cats; {LAYOUT}"


@pytest.mark.fault(27)
def test_case_27_names_of_any_bytes(tmp_path):
    names = [b"\xff\xfe", "\N{CAT FACE}".encode(), b"-dash", b"a\nb", b'it\'s "it"', b" ", b"a,b;"]
    names.append("cafe\u0301".encode())
    root = os.fsencode(tmp_path / "data")
    for seed, name in enumerate(names):
        os.makedirs(os.path.join(root, name))
        with open(os.path.join(root, name, name + b".png"), "wb") as file:
            noise(seed).save(file, "PNG")
    examples = source.read(os.fsdecode(root))
    assert sorted(map(os.fsencode, examples.class_names)) == sorted(names)
    for index, name in enumerate(examples.names):
        seed = names.index(os.fsencode(name.split("/")[0]))
        np.testing.assert_array_equal(examples.load(index, 30), noise(seed))
    with open(os.path.join(root, b"\xff\xfe", b"bad\n.png"), "wb") as file:
        file.write(b"x")
    assert refused(os.fsdecode(root)) == (
        f"bad pictures in {tmp_path}/data - 1 of 9 cannot be used; replace or remove them, or "
        f"--on_bad_file=skip --max_bad_fraction=0.112:\n"
        f"  bad picture in {tmp_path}/data/\\udcff\\udcfe/bad\\n.png - not an "
        'image (starts with "x"); replace or remove it'
    )


@pytest.mark.fault(27)
def test_case_27_twins_in_unicode(tmp_path):
    root = tree(tmp_path / "data", ["caf\u00e9/x.png", "cafe\u0301/x.png"])
    assert refused(root) == (
        f"twin classes in {root} - two folders are called caf\u00e9, one spelt with combining "
        "characters (NFC and NFD); merge them"
    )


@pytest.mark.fault(28)
def test_case_28_classes_that_differ_in_case(root):
    tree(root, ["A/good.png"])
    examples = source.read(root)
    assert examples.class_names == ("A", "a", "b")
    assert examples.notes == ("classes A and a differ in case only",)


@pytest.mark.fault(29)
def test_case_29_patterns_in_the_path(tmp_path, scan):
    root = tree(tmp_path / "a[0-9]*?" / "{x,y}", ["[ab]/*.png", "?/[!x].png"])
    examples = source.read(root)
    assert examples.names == ("?/[!x].png", "[ab]/*.png")
    for index in range(2):
        assert examples.load(index, 30).shape == (30, 40, 3)
    assert scan(root)[0] == 0


@pytest.mark.fault(30)
def test_case_30_the_same_picture_in_two_classes(root, scan):
    shutil.copy(root / "a" / "good.png", root / "b" / "same.png")
    assert refused(root) == (
        f"conflicting labels in {root} - 2 of 3 pictures lie in several classes, over "
        "--max_bad_fraction=0.01: a/good.png = b/same.png; leave each in one class"
    )
    code, out, _ = scan(root)
    assert code == 3
    assert "conflicting labels: a/good.png = b/same.png" in out.splitlines()
    note = "conflicting labels of 2 pictures: a/good.png = b/same.png"
    examples = source.read(root, rules=Rules(max_bad_fraction=0.7))
    assert examples.notes == (note,)
    assert len(examples) == 3  # both stay: nobody can tell which is right

    for seed in range(200):  # 2 of 203 are few
        noise(seed, (8, 8)).save(root / "b" / f"{seed}.png")
    assert source.read(root).notes == (note,)
    code, out, _ = scan(root)
    assert code == 0
    assert "conflicting labels: a/good.png = b/same.png" in out.splitlines()


@pytest.mark.fault(30)
def test_case_30_the_same_picture_twice_in_a_class(root):
    shutil.copy(root / "a" / "good.png", root / "a" / "same.png")
    assert source.read(root).notes == ("1 repeated within their class: a/good.png = a/same.png",)


@pytest.mark.parametrize("other", ["val", "test"])
@pytest.mark.fault(31)
def test_case_31_the_same_picture_in_two_parts(tmp_path, scan, other):
    root = tree(
        tmp_path, ["train/a/x.png", "train/b/y.png", f"{other}/a/z.png", f"{other}/b/z.png"]
    )
    noise(8).save(root / other / "b" / "z.png")
    shutil.copy(root / "train" / "a" / "x.png", root / other / "a" / "z.png")
    code, out, _ = scan(root)
    assert code == 3
    assert f"leak: {root}/train/a/x.png = {root}/{other}/a/z.png" in out.splitlines()


@pytest.mark.fault(32)
def test_case_32_classes_of_a_part(tmp_path):
    root = tree(tmp_path, ["train/a/1.png", "train/b/2.png", "train/c/3.png"])
    tree(root, ["val/c/4.png", "val/b/5.png"])
    examples = source.read(root)
    assert examples.class_names == ("a", "b", "c")
    assert dict(zip(examples.names, examples.labels.tolist(), strict=True)) == {
        "train/a/1.png": 0,
        "train/b/2.png": 1,
        "train/c/3.png": 2,
        "val/b/5.png": 1,  # the first folder there, and not class 0
        "val/c/4.png": 2,
    }
    assert examples.notes == ("val: no picture of a",)
    tree(root, ["val/d/6.png"])
    assert refused(root) == (
        "unknown classes in the data - d: the model knows 3, among them a, b, c; leave those "
        "pictures out, or train a model on them"
    )


@pytest.mark.parametrize("kind", ["folders", "list", "shards"])
@pytest.mark.fault(32)
def test_case_32_a_part_to_score_that_lacks_a_class(tmp_path, kind):
    path = tree(tmp_path, ["test/c/4.png", "test/b/5.png"]) / "test"
    if kind == "list":
        path = path / "list.csv"
        path.write_text("file,class\nb/5.png,b\nc/4.png,c\n")
    if kind == "shards":
        from hw2.input.sources import shard_writer

        shard_writer.write(source.read(path), tmp_path / "shards")
        path = tmp_path / "shards"
    names = ("c", "a", "b")
    examples = source.read(path, "test", class_names=names).with_classes(names)
    classes = [examples.class_names[label] for label in examples.labels]
    assert dict(zip(examples.names, classes, strict=True)) == {"b/5.png": "b", "c/4.png": "c"}
    assert examples.class_names == names
    assert examples.notes == ("no picture of a",)


# Reads a folder as a user to whom files may be forbidden, which the one who tests may not be.
_AS_NOBODY = """
import os, sys
from hw2.errors import DataError
from hw2.input import source
from hw2.input.files.rules import Rules
rules = Rules(on_bad_file=sys.argv[2], max_bad_fraction=0.5)
if os.geteuid() == 0:
    source.read(sys.argv[1], rules=rules)  # imports what is needed, of folders closed to others
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
try:
    examples = source.read(sys.argv[1], rules=rules)
    print(*examples.names, *examples.notes, sep="\\n")
except DataError as error:
    print(error)
"""


@pytest.mark.fault(33)
def test_case_33_what_may_not_be_read(root):
    def said(on_bad_file):
        process = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, root.name, on_bad_file],
            cwd=root.parent,  # folders above may be closed to others
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert process.returncode == 0, process.stderr
        return process.stdout.removesuffix("\n")

    root.parent.chmod(0o755)
    noise().save(root / "a" / "closed.png")
    (root / "a" / "closed.png").chmod(0)
    why = "permission denied; make it readable, or remove it"
    in_bounds = listed("data", {"a/closed.png": why}).replace(" --max_bad_fraction=0.334", "")
    assert said("error") == in_bounds
    assert said("skip").splitlines() == [
        "a/good.png",
        "b/good.png",
        "skipped 1 bad of 3 (1 permission denied)",
    ]
    (root / "a").chmod(0)
    assert said("error") == "no pictures in data/a - permission denied; make it readable"
    (root / "a").chmod(0o755)
