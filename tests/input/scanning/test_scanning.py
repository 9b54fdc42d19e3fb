"""What a scan opens, what it remembers, and what it says."""

import dataclasses
import os
import re

import numpy as np
import pytest

from hw2.input.files import decode
from hw2.input.files.duplicates import DIGEST
from hw2.input.files.rules import Rules
from hw2.input.scanning import conflicts, judgement, scan, troubles
from hw2.input.sources import folder
from tests.input.faulty import noise, tree


@pytest.fixture
def root(tmp_path):
    """Six pictures in two classes."""
    return tree(tmp_path / "data", [f"{'ab'[i % 2]}/{i}.png" for i in range(6)])


@pytest.fixture
def opened(monkeypatch):
    """Paths of the files that a scan looks into."""
    paths = []
    inspect = decode.inspect

    def noted(path, **options):
        paths.append(os.path.basename(path))
        return inspect(path, **options)

    monkeypatch.setattr(decode, "inspect", noted)
    return paths


def look(root, rules, **options):
    return scan.survey(folder.listing(root, rules), rules, **options)


def test_worked_example(root):
    (root / "a" / "bad.jpg").write_text("no picture")
    noise().save(root / "b" / "z.jpg")
    seen = look(root, Rules())
    assert list(seen.bad) == [3]
    assert seen.bad[3].startswith(f"bad picture in {root}/a/bad.jpg - not an image (starts with ")
    assert seen.cached == 0
    good = seen.records["digest"] != b""
    assert good.tolist() == [True] * 3 + [False] + [True] * 4
    assert seen.records["format"][[0, 7]].tolist() == [1, 0]  # PNG, JPEG
    assert set(zip(seen.records["width"][good], seen.records["height"][good], strict=True)) == {
        (40, 30)
    }
    content = (root / "a" / "0.png").read_bytes()
    assert seen.records["digest"][0] == decode.digest_of(content)


def test_the_second_scan_opens_nothing(root, tmp_path, opened):
    rules = Rules(cache_folder=str(tmp_path / "cache"))
    first = look(root, rules)
    assert len(opened) == 6
    second = look(root, rules)
    assert len(opened) == 6
    assert second.cached == 6
    np.testing.assert_array_equal(first.records, second.records)


def test_only_what_is_new_or_changed_is_opened(root, tmp_path, opened):
    rules = Rules(cache_folder=str(tmp_path / "cache"))
    look(root, rules)
    opened.clear()
    noise(1).save(root / "a" / "new.png")
    noise(2).save(root / "b" / "1.png")
    os.utime(root / "b" / "1.png", ns=(5, 5))
    os.utime(root / "b" / "3.png", ns=(5, 5))  # the same content, written again
    (root / "a" / "0.png").unlink()
    look(root, rules)
    assert sorted(opened) == ["1.png", "3.png", "new.png"]
    opened.clear()
    assert look(root, rules).cached == 6
    assert opened == []


def test_bad_files_are_opened_again(root, tmp_path, opened):
    """They may have been mended, in a way that size and time do not show."""
    rules = Rules(cache_folder=str(tmp_path / "cache"), on_bad_file="skip", max_bad_fraction=1)
    (root / "a" / "bad.png").touch()
    for _ in range(3):
        opened.clear()
        assert list(look(root, rules).bad) == [3]
    assert opened == ["bad.png"]


def test_other_limits_are_another_scan(root, tmp_path, opened):
    rules = Rules(cache_folder=str(tmp_path / "cache"))
    look(root, rules)
    seen = look(root, dataclasses.replace(rules, min_size=31))
    assert len(opened) == 12
    assert len(seen.bad) == 6


def test_what_was_seen_before_an_interruption_is_kept(root, tmp_path, opened, monkeypatch):
    rules = Rules(cache_folder=str(tmp_path / "cache"))
    monkeypatch.setattr(scan, "BLOCK", 2)

    def stop(done, total):
        assert total == 6
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(root, rules, report=stop)
    assert look(root, rules).cached == 4
    assert len(opened) == 6


def test_a_header_only_scan_hashes_and_decodes_nothing(root):
    whole = (root / "a" / "0.png").read_bytes()
    at = whole.index(b"IDAT") + 100
    (root / "a" / "0.png").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert list(look(root, Rules()).bad) == [0]
    seen = look(root, Rules(decode=False))
    assert seen.bad == {}
    np.testing.assert_array_equal(seen.records["digest"] == b"", [False] * 6)


def test_progress_is_told_to_the_end(root, monkeypatch):
    monkeypatch.setattr(scan, "BLOCK", 4)
    told = []
    look(root, Rules(), report=lambda *numbers: told.append(numbers))
    assert told == [(4, 6), (6, 6)]


@pytest.mark.fault(175)
def test_reasons_are_counted_without_their_details(root):
    for index, content in enumerate([b"abc", b"def", b"", b"II*\0"]):
        (root / "a" / f"bad - copy {index}.png").write_bytes(content)
    examples = folder.read_folder(root, Rules(on_bad_file="skip", max_bad_fraction=0.4))
    assert examples.notes == (
        "skipped 4 bad of 10 (2 not an image, 1 empty, 1 unsupported format TIFF)",
    )
    assert len(examples.digests) == len(examples) == 6


def test_conflicting_finds_every_picture_of_a_content_with_two_labels():
    digests = np.array([b"x", b"y", b"x", b"", b"x", b"y", b""], DIGEST)
    labels = np.array([0, 1, 1, 0, 0, 1, 1])
    involved, pairs = conflicts.conflicting(labels, digests)
    assert involved.tolist() == [0, 2, 4]
    assert pairs == [(0, 2)]
    one_class = np.zeros(7, int)
    assert conflicts.check_conflicts("s", list("abcdefg"), one_class, digests, Rules())[1] == ()


@pytest.mark.fault(176)
def test_the_fraction_that_is_advised_is_enough():
    for bad, count in ((29, 100), (29, 50), (63, 90), (200, 1000)):
        messages = ["bad picture in x - empty; remove it"] * bad
        options = {"skip": True, "max_fraction": 0.01}
        found = troubles.bad_pictures("s", {"x": "empty"}, messages, count, **options)
        options["max_fraction"] = found.flags["max_bad_fraction"]
        assert troubles.bad_pictures("s", {"x": "empty"}, messages, count, **options) is None


def test_the_reason_within_a_message():
    assert judgement.reason("bad picture in a - b.png - empty; remove it", "a - b.png") == "empty"
    assert judgement.reason("bad picture in x.png - damaged (a - b; c); replace it") == "damaged"
    assert re.fullmatch("empty", judgement.reason("bad picture in x.png - empty; remove it"))
