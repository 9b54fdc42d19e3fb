import os
import re
import types
import zlib
from stat import S_ISDIR

import numpy as np
import pytest
from PIL import Image

from hw2.errors import DataError
from hw2.input.files.rules import Rules
from hw2.input.sources import folder


def add(root, *names, color="red"):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (6, 4), color)
        image.putpixel((5, 3), tuple(zlib.crc32(name.encode()).to_bytes(4, "big")[1:]))  # no twins
        image.save(path, format="PNG")


def refusal(root):
    with pytest.raises(DataError) as caught:
        folder.read_folder(root)
    return str(caught.value).replace(str(root), "ROOT")


def test_worked_example(tmp_path):
    add(tmp_path, "dogs/b.png", "cats/2.png", "cats/more/deep/1.PNG", "cats/10.png")
    add(tmp_path, "dogs/a.png", color="blue")
    examples = folder.read_folder(tmp_path)
    assert examples.class_names == ("cats", "dogs")
    names = ("cats/10.png", "cats/2.png", "cats/more/deep/1.PNG", "dogs/a.png", "dogs/b.png")
    assert examples.names == names
    assert examples.labels.tolist() == [0, 0, 0, 1, 1]
    assert examples.channels == 3
    assert examples.notes == ()
    blue = examples.load(3, 4)
    assert blue.dtype == np.uint8
    assert blue.shape == (4, 6, 3)
    assert blue[0, 0].tolist() == [0, 0, 255]


def test_real_pictures(stamps):
    expected = [
        path
        for path in stamps.rglob("*")
        if path.suffix.lower() in folder.PICTURES and path.is_file()
    ]
    examples = folder.read_folder(stamps)
    assert len(examples) == len(expected) > 700
    assert len(examples.class_names) == len({p.relative_to(stamps).parts[0] for p in expected})
    assert examples.notes[0].startswith("ignored 7")
    assert " .ogg, " in examples.notes[0]
    assert examples.notes[1:] == (  # the bolt is white, on nothing
        "nearly all of one level, as behind a lens cap or on a wrong scale, "
        f"1 of {len(expected)}: naturalforces/lightningbolt.png",
        "conflicting labels of 2 pictures: military/fireman240a.png = people/fireman240a.png",
    )
    for index in range(0, len(examples), 50):
        picture = examples.load(index, 40)
        assert min(picture.shape[:2]) == 40
        assert picture.std() > 0
    assert examples.load(0, 40)[0, 0].tolist() == [255] * 3  # transparent corners are white


def test_junk_is_skipped_and_other_files_are_counted(tmp_path):
    add(tmp_path, "a/1.png", "b/1.png", "a/.ipynb_checkpoints/1.png", ".hidden/1.png")
    add(tmp_path, "__MACOSX/a/1.png", "a/.1.png", "a/__MACOSX/1.png")
    for name in ("a/.DS_Store", "a/Thumbs.db", "a/x.txt", "b/y.TXT", "b/LICENSE", "stray.csv"):
        (tmp_path / name).write_text("?")
    examples = folder.read_folder(tmp_path)
    assert examples.names == ("a/1.png", "b/1.png")
    assert examples.notes == ("ignored 2 .txt, 1 without suffix",)


def test_pictures_beside_the_classes_are_noted(tmp_path):
    add(tmp_path, "a/1.png", "b/1.png", "c.png")
    assert folder.read_folder(tmp_path).notes == ("ignored 1 outside the class folders",)


def test_odd_things_are_noted(tmp_path):
    add(tmp_path, "A/x.jpg", "a/1.png", "a/y.png/1.png")
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    red.save(tmp_path / "A" / "moving.gif", save_all=True, append_images=[blue])
    examples = folder.read_folder(tmp_path)
    assert examples.names == ("A/moving.gif", "A/x.jpg", "a/1.png")
    assert examples.notes == (
        "classes A and a differ in case only",
        "ignored 1 folders named like pictures",
        "only the first frame is used of 1 animated: A/moving.gif",
        "content and suffix disagree in 1: A/x.jpg",
        "nearly all of one level, as behind a lens cap or on a wrong scale, 1 of 3: A/moving.gif",
    )


def linked(tmp_path):
    root = tmp_path / "root"
    add(root, "a/1.png", "b/1.png")
    add(tmp_path, "elsewhere/2.png", "elsewhere/3.png")
    (root / "a" / "loop").symlink_to(root / "a")
    (root / "a" / "self").symlink_to("self")
    (root / "a" / "other_class").symlink_to(root / "b")
    (root / "a" / "again.png").symlink_to("1.png")
    return root


def test_links_are_followed_and_nothing_is_read_twice(tmp_path):
    examples = folder.read_folder(linked(tmp_path))
    assert examples.names == ("a/1.png", "b/1.png")
    assert examples.notes == (
        "ignored 2 links to folders read already, 1 links to pictures read already, "
        "1 without suffix",
    )


def test_links_out_of_the_root_are_refused_unless_they_are_allowed(tmp_path):
    root = linked(tmp_path)
    (root / "b" / "3.png").symlink_to(tmp_path / "elsewhere" / "3.png")
    target = os.path.realpath(tmp_path / "elsewhere")
    assert refusal(root).split("\n") == [
        "bad pictures in ROOT - 1 of 3 cannot be used; replace or remove them, or "
        "--on_bad_file=skip --max_bad_fraction=0.334:",
        f"  bad picture in ROOT/b/3.png - link out of the root, to {target}/3.png; "
        "--allow_outside_links follows it",
    ]
    (root / "b" / "outside").symlink_to(tmp_path / "elsewhere")
    (root / "b" / "3.png").unlink()
    assert refusal(root) == (
        f"link out of the root in ROOT/b/outside - it leads to {target}; "
        "--allow_outside_links follows it, or --on_bad_file=skip"
    )
    (root / "b" / "3.png").symlink_to(tmp_path / "elsewhere" / "3.png")
    examples = folder.read_folder(root, Rules(allow_outside_links=True))
    assert examples.names == ("a/1.png", "b/1.png", "b/3.png", "b/outside/2.png", "b/outside/3.png")
    assert "1 repeated within their class: b/3.png = b/outside/3.png" in examples.notes


def test_names_of_any_bytes(tmp_path):
    names = [b"\xff\xfe", "\N{CAT FACE}".encode(), b"-dash", b"a\nb", b'it\'s "it"', b"[x]*?"]
    for name in names:
        os.mkdir(os.path.join(os.fsencode(tmp_path), name))
        path = os.path.join(os.fsencode(tmp_path), name, name + b".png")
        with open(path, "wb") as file:
            Image.new("RGB", (4, 4), (names.index(name), 0, 0)).save(file, "PNG")
    examples = folder.read_folder(tmp_path)
    assert sorted(map(os.fsencode, examples.class_names)) == sorted(names)
    for index in range(len(examples)):
        assert examples.load(index, 4).shape == (4, 4, 3)


def test_roots_that_are_none(tmp_path):
    layout = "the layout is ROOT/CLASS/.../PICTURE.jpg, with two classes at least"
    add(tmp_path, "file/x.png")
    assert refusal(tmp_path / "none") == f"no pictures in ROOT - no such folder; {layout}"
    assert refusal(tmp_path / "file" / "x.png") == f"no pictures in ROOT - not a folder; {layout}"
    assert refusal(tmp_path / "file") == f"no classes in ROOT - no class folders; {layout}"
    assert refusal(tmp_path) == f"no classes in ROOT - one class folder only, file; {layout}"


def test_empty_classes_are_listed(tmp_path):
    add(tmp_path, "a/1.png")
    for name in "bcd":
        (tmp_path / name).mkdir()
    (tmp_path / "c" / "x.txt").write_text("")
    assert refusal(tmp_path).startswith(
        "empty classes in ROOT - no picture in b, c (ignored 1 .txt), d; fill or remove them, or "
        "--allow_empty_class keeps their numbers"
    )
    add(tmp_path, "d/1.png")
    examples = folder.read_folder(tmp_path, Rules(allow_empty_class=True))
    assert examples.class_names == ("a", "b", "c", "d")
    assert examples.labels.tolist() == [0, 3]


def test_parts_are_not_classes(tmp_path):
    add(tmp_path, "val/a/1.png", "Test/a/1.png")
    assert refusal(tmp_path) == (
        "no classes in ROOT - Test, val are parts of a data set, and none is called train; give "
        "the folder of one part"
    )


def test_twins_in_unicode(tmp_path):
    add(tmp_path, "caf\u00e9/1.png", "cafe\u0301/1.png")
    assert refusal(tmp_path).startswith("twin classes in ROOT - two folders are called caf")
    assert refusal(tmp_path).endswith("(NFC and NFD); merge them")


def test_bad_pictures_are_listed(tmp_path):
    add(tmp_path, "a/good.png", "b/good.png")
    os.mkfifo(tmp_path / "a" / "fifo.png")
    (tmp_path / "a" / "empty.JPG").write_text("")
    (tmp_path / "a" / "page.jpg").write_text("<html>")
    (tmp_path / "a" / "scan.tif").write_bytes(b"II*\0" + bytes(20))
    (tmp_path / "a" / "link.png").symlink_to("nowhere")
    assert refusal(tmp_path).split("\n") == [
        "bad pictures in ROOT - 5 of 7 cannot be used; replace or remove them, or "
        "--on_bad_file=skip --max_bad_fraction=0.715:",
        "  bad picture in ROOT/a/empty.JPG - empty; replace or remove it",
        "  bad picture in ROOT/a/fifo.png - not a regular file; remove it",
        "  bad picture in ROOT/a/link.png - dangling link; restore or remove it",
        '  bad picture in ROOT/a/page.jpg - not an image (starts with "<html>"); '
        "replace or remove it",
        "  bad picture in ROOT/a/scan.tif - unsupported format TIFF; convert it to PNG or JPEG",
    ]


def test_of_many_bad_pictures_the_first_are_listed(tmp_path):
    add(tmp_path, "a/good.png", "b/good.png")
    for index in range(30):
        (tmp_path / "b" / f"{index:02d}.png").write_text("")
    lines = refusal(tmp_path).split("\n")
    assert lines[0].startswith("bad pictures in ROOT - 30 of 32 cannot be used; replace or ")
    assert len(lines) == 22
    assert re.search(r"b/19\.png", lines[20])
    assert lines[21] == "  and 10 more"


def test_an_unreadable_folder(tmp_path, monkeypatch):
    add(tmp_path, "a/1.png", "b/1.png")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)  # the tests may run as root, who reads anything
    assert refusal(tmp_path) == "no pictures in ROOT/b - permission denied; make it readable"


def test_a_picture_that_vanishes_is_named(tmp_path):
    add(tmp_path, "a/1.png", "b/1.png")
    examples = folder.read_folder(tmp_path)
    (tmp_path / "b" / "1.png").unlink()
    with pytest.raises(DataError, match=r"bad picture in .*b/1\.png - no such file; restore or"):
        examples.load(1, 4)


@pytest.mark.fault(90)
def test_a_disk_without_inode_numbers_has_all_its_classes(tmp_path, monkeypatch):
    add(tmp_path, "cats/1.png", "cats/more/2.png", "dogs/1.png", "dogs/more/2.png")
    (tmp_path / "dogs" / "again").symlink_to(tmp_path / "dogs" / "more")
    real = os.stat

    def stat(path, **options):
        found = real(path, **options)
        if not os.path.isdir(path):
            return found
        return types.SimpleNamespace(
            st_dev=1, st_ino=0, st_mode=found.st_mode, st_mtime_ns=found.st_mtime_ns
        )

    monkeypatch.setattr(folder.os, "stat", stat)
    monkeypatch.setattr(folder.os.path, "isdir", lambda path: S_ISDIR(real(path).st_mode))
    examples = folder.read_folder(tmp_path)
    assert examples.names == ("cats/1.png", "cats/more/2.png", "dogs/1.png", "dogs/more/2.png")
    assert examples.notes == ("ignored 1 links to folders read already",)
