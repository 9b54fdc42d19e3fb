"""`hw2 scan`: what it prints, and how it exits."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from hw2.input.files import decode
from tests.input.faulty import ROOT, noise, tree


@pytest.fixture
def root(tmp_path):
    return tree(tmp_path / "data", ["cats/1.png", "cats/2.png", "dogs/3.png"])


def test_a_table_and_what_was_found(root, scan):
    code, out, err = scan(root)
    assert code == 0
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0] == str(root)
    assert lines[1:4] == ["class  pictures", "cats          2", "dogs          1"]
    assert "3 images in 2 classes, 0 unreadable (3 PNG)" in lines
    assert "short sides 30 to 30 pixels, half below 30" in lines
    assert lines[-1].endswith(" s, 0 known from the last scan")
    assert err == ""


def test_json(root, scan):
    (root / "cats" / "bad.png").touch()
    shutil.copy(root / "cats" / "1.png", root / "cats" / "again.png")
    shutil.copy(root / "cats" / "2.png", root / "dogs" / "2.png")
    noise().save(root / "dogs" / "x.gif")
    code, out, _ = scan(root, "--json")
    assert code == 3
    result = json.loads(out)
    assert result["leaks"] == []
    [part] = result["parts"]
    assert part.pop("seconds") >= 0
    assert part == {
        "source": str(root),
        "pictures": 6,
        "classes": {"cats": 3, "dogs": 3},
        "unreadable": [
            {
                "name": "cats/bad.png",
                "reason": "empty",
                "message": f"bad picture in {root}/cats/bad.png - empty; replace or remove it",
            }
        ],
        "formats": {"PNG": 5, "GIF": 1},
        "short_side": [30, 30, 30],
        "duplicates": [["cats/1.png", "cats/again.png"]],
        "conflicting_labels": [["cats/2.png", "dogs/2.png"]],
        "notes": ["1 repeated within their class: cats/1.png = cats/again.png"],
        "from_manifest": 0,
    }


def test_the_second_start_decodes_nothing(root, scan, monkeypatch):
    decoded = []
    inspect = decode.inspect
    monkeypatch.setattr(decode, "inspect", lambda path, **o: decoded.append(path) or inspect(path))
    assert "0 known from the last scan" in scan(root)[1]
    assert len(decoded) == 3
    assert "3 known from the last scan" in scan(root)[1]
    assert json.loads(scan(root, "--json")[1])["parts"][0]["from_manifest"] == 3
    assert len(decoded) == 3
    assert "0 known from the last scan" in scan(root, "--no_cache")[1]
    assert len(decoded) == 6


def test_verify(root, scan):
    scan(root)
    code, out, _ = scan(root, "--verify")
    assert code == 0
    assert "every file is as the last scan saw it" in out.splitlines()
    path = root / "dogs" / "3.png"
    status = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert scan(root)[0] == 0  # size and time are as before
    code, out, _ = scan(root, "--verify", "--json")
    assert code == 3
    assert json.loads(out)["parts"][0]["changed"] == [
        f"bad picture in {path} - content changed since scan; restore it"
    ]
    assert scan(root, "--verify")[0] == 3  # and is not taken for good after that


def test_bad_files_are_listed_and_the_exit_code_says_so(root, scan):
    for index in range(25):
        (root / "cats" / f"bad{index:02d}.png").write_text("x")
    code, out, err = scan(root)
    lines = out.splitlines()
    assert code == 3
    assert "3 images in 2 classes, 25 unreadable (3 PNG)" in lines
    bad = [line for line in lines if line.startswith("  bad picture in ")]
    assert len(bad) == 20
    assert bad[0] == (
        f'  bad picture in {root}/cats/bad00.png - not an image (starts with "x"); '
        "replace or remove it"
    )
    assert "  and 5 more; all by --json" in lines
    assert err == ""
    assert len(json.loads(scan(root, "--json")[1])["parts"][0]["unreadable"]) == 25


def test_parts_and_what_is_in_two_of_them(tmp_path, scan):
    root = tree(tmp_path / "data", ["train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png"])
    tree(root, ["test/a/5.png", "test/b/6.png"])
    code, out, _ = scan(root, "--json")
    assert code == 0
    parts = json.loads(out)["parts"]
    assert [part["source"] for part in parts] == [f"{root}/{p}" for p in ("train", "val", "test")]
    shutil.copy(root / "train" / "a" / "1.png", root / "test" / "a" / "x.png")
    code, out, _ = scan(root, "--json")
    assert code == 3
    assert json.loads(out)["leaks"] == [[f"{root}/train/a/1.png", f"{root}/test/a/x.png"]]


def test_a_list(tmp_path, scan):
    tree(tmp_path, ["1.png", "2.png"])
    path = tmp_path / "list.csv"
    path.write_text("file,class\n1.png,a\n2.png,b\nnone.png,b\n")
    code, out, _ = scan(path)
    assert code == 3
    assert "2 images in 2 classes, 1 unreadable (2 PNG)" in out.splitlines()
    assert (
        f"  bad picture in {path}:4 (none.png) - no such file; restore or remove it"
        in out.splitlines()
    )


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--min_size=31"], "too small (40x30, below 31; --min_size); remove it, or lower the "),
        (["--max_pixels=1199"], "too many pixels (1200 > limit 1199; --max_pixels); shrink it, "),
    ],
)
def test_limits(root, scan, flags, why):
    code, out, _ = scan(root, *flags)
    assert code == 3
    assert f"  bad picture in {root}/cats/1.png - {why}" in out


def test_empty_classes_are_in_the_table(root, scan):
    (root / "birds").mkdir()
    code, out, _ = scan(root)
    assert code == 3
    assert ["birds", "0"] in [line.split() for line in out.splitlines()]
    assert scan(root, "--allow_empty_class")[0] == 0


def test_a_path_that_is_none(tmp_path, scan):
    code, out, err = scan(tmp_path / "none")
    assert (code, out) == (3, "")
    assert err == (
        f"error: no pictures in {tmp_path}/none - no such folder; the layout is "
        "ROOT/CLASS/.../PICTURE.jpg, with two classes at least\n"
    )


def test_real_pictures(stamps, scan):
    code, out, _ = scan(stamps, "--json")
    [part] = json.loads(out)["parts"]
    assert code == 0
    assert part["unreadable"] == []
    assert part["pictures"] == sum(part["classes"].values()) > 700
    assert part["conflicting_labels"] == [["military/fireman240a.png", "people/fireman240a.png"]]


def test_as_a_program_without_tensorflow(root, tmp_path):
    code = (
        "import runpy, sys; sys.argv[0] = 'hw2'\n"
        "try: runpy.run_module('hw2', run_name='__main__')\n"
        "finally: print('tensorflow' in sys.modules, file=sys.stderr)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, "scan", str(root), "--json"],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert process.stderr == "False\n"
    assert process.returncode == 0
    assert json.loads(process.stdout)["parts"][0]["pictures"] == 3
