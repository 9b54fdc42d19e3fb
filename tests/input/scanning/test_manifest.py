import os
import stat

import numpy as np
import pytest

from hw2.input.scanning import manifest

SETTINGS = {"max_pixels": 100, "min_size": 1, "decode": True}
NAMES = ["a/x.png", "b/\udcff\n.png", "c/\N{CAT FACE}.png"]


@pytest.fixture
def records():
    records = np.zeros(3, manifest.RECORD)
    records["size"] = [1, 2**40, 3]
    records["mtime_ns"] = [-1, 2**60, 0]
    records["digest"] = [b"\1" * 16, b"", b"\2\0\3"]
    records["format"], records["width"], records["animated"] = [0, 4, 1], 7, [True, False, True]
    return records


def test_what_is_saved_is_loaded(tmp_path, records):
    assert manifest.save(str(tmp_path / "new"), "/data", SETTINGS, NAMES, records)
    names, found = manifest.load(str(tmp_path / "new"), "/data", SETTINGS)
    assert names == NAMES
    assert found.dtype == manifest.RECORD
    np.testing.assert_array_equal(found, records)
    assert len(os.listdir(tmp_path / "new" / "manifests")) == 1  # nothing partial is left
    assert manifest.save(str(tmp_path / "new"), "/data", SETTINGS, NAMES[:1], records[:1])
    assert manifest.load(str(tmp_path / "new"), "/data", SETTINGS)[0] == NAMES[:1]


@pytest.mark.parametrize("block", [1, 2, 3, 4])
def test_names_that_are_as_expected_are_not_made_again(tmp_path, records, monkeypatch, block):
    monkeypatch.setattr(manifest, "BLOCK", block)
    manifest.save(str(tmp_path), "/data", SETTINGS, NAMES, records)
    same = tuple(NAMES)
    assert manifest.load(str(tmp_path), "/data", SETTINGS, same)[0] is same
    others = [NAMES[:2], NAMES[:1], [], [*NAMES, "d.png"], [*NAMES, ""], ["x", *NAMES[1:]]]
    others += [[*NAMES[:2], "c/other.png"], [NAMES[0] + "x", *NAMES[1:]], ["\0".join(NAMES)[:-1]]]
    for other in others:
        assert manifest.load(str(tmp_path), "/data", SETTINGS, other)[0] == NAMES


def test_other_sources_and_other_settings_do_not_count(tmp_path, records):
    manifest.save(str(tmp_path), "/data", SETTINGS, NAMES, records)
    assert manifest.load(str(tmp_path), "/data2", SETTINGS) is None
    for name, value in {"max_pixels": 101, "min_size": 2, "decode": False}.items():
        assert manifest.load(str(tmp_path), "/data", {**SETTINGS, name: value}) is None
    assert manifest.load(str(tmp_path), "/data", SETTINGS) is not None
    assert manifest.load(str(tmp_path), "/tmp/../data/.", SETTINGS) is not None


def test_nowhere_to_keep_it(records):
    assert manifest.load(None, "/data", SETTINGS) is None
    assert not manifest.save(None, "/data", SETTINGS, NAMES, records)
    assert not manifest.save("/dev/null/x", "/data", SETTINGS, NAMES, records)
    assert not manifest.save("/tmp", "/data", SETTINGS, [], records[:0])


def in_directory(archive, offset, byte):
    """An archive with another byte in every entry of its directory."""
    entries = archive.split(b"PK\1\2")
    at = offset - 4
    changed = [entry[:at] + byte + entry[at + 1 :] for entry in entries[1:]]
    return b"PK\1\2".join([entries[0], *changed])


@pytest.mark.fault(169)
@pytest.mark.parametrize(
    "damage",
    ["cut", "empty", "text", "flipped", "folder", "other dtype", "packed", "locked", "newer"],
)
def test_a_damaged_one_is_as_none(tmp_path, records, damage):
    manifest.save(str(tmp_path), "/data", SETTINGS, NAMES, records)
    [path] = (tmp_path / "manifests").iterdir()
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "other dtype":
        manifest.save(str(tmp_path), "/data", SETTINGS, NAMES, records[["size", "digest"]])
    else:
        at = whole.index(b"\1" * 16)
        flipped = whole[:at] + b"\5" + whole[at + 1 :]
        content = {
            "cut": whole[:-30],
            "empty": b"",
            "text": b"{}",
            "flipped": flipped,
            "packed": in_directory(whole, 10, b"\x63"),  # by a method that there is not
            "locked": in_directory(whole, 8, b"\x01"),  # by a password
            "newer": in_directory(whole, 6, b"\xff"),  # a version of the ZIP format
        }[damage]
        path.write_bytes(content)
    assert manifest.load(str(tmp_path), "/data", SETTINGS) is None


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_cut_anywhere(tmp_path, records, cut):
    manifest.save(str(tmp_path), "/data", SETTINGS, NAMES, records)
    [path] = (tmp_path / "manifests").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * cut // 100])
    assert manifest.load(str(tmp_path), "/data", SETTINGS) is None


def test_others_may_not_read_what_is_private(tmp_path, records):
    manifest.save(str(tmp_path), "/data", SETTINGS, NAMES, records)
    [path] = (tmp_path / "manifests").iterdir()
    assert not stat.S_IMODE(path.stat().st_mode) & 0o077
