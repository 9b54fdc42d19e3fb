"""Several kinds of trouble: one answer, one screen, and one command that goes on."""

import dataclasses
import json
import os
import shlex
import shutil
import time

import pytest

from hw2.input import source
from hw2.input.files.rules import Rules
from hw2.input.scanning.troubles import Troubles
from tests.input import troubled
from tests.input.faulty import noise, refused, tree

SCREEN = 40  # lines


@pytest.fixture
def root(tmp_path):
    """Three kinds of trouble: too large, in two classes, an empty class."""
    root = tree(tmp_path / "data", [f"{c}/{n}.png" for c in "ab" for n in range(4)])
    noise(0, (60, 50)).save(root / "a" / "large.png")
    shutil.copy(root / "a" / "0.png", root / "b" / "same.png")
    (root / "c").mkdir()
    return root


def rules_of(flags):
    """The rules that flags mean."""
    given = (flag.removeprefix("--").partition("=") for flag in flags)
    values = {name: value or True for name, _, value in given}
    if "max_bad_fraction" in values:
        values["max_bad_fraction"] = float(values["max_bad_fraction"])
    return Rules(**values)


@pytest.mark.fault(102)
def test_all_kinds_of_trouble_are_in_one_answer_with_the_flags_that_go_on(root):
    (root / "b" / "misnamed.jpg").write_bytes((root / "b" / "1.png").read_bytes())
    assert refused(root, max_pixels=2000) == (
        f"3 kinds of trouble in {root} stop the training:\n"
        f"  bad pictures in {root} - 1 of 11 cannot be used; replace or remove them\n"
        "    1 too many pixels: a/large.png\n"
        f"  conflicting labels in {root} - 2 of 10 pictures lie in several classes, over "
        "--max_bad_fraction=0.01: a/0.png = b/same.png; leave each in one class\n"
        f"  empty classes in {root} - no picture in c; fill or remove them, or "
        "--allow_empty_class keeps their numbers\n"
        "  only told: content and suffix disagree in 1: b/misnamed.jpg\n"
        "  only told: 1 repeated within their class: b/1.png = b/misnamed.jpg\n"
        "  to go on without them: the same command with --on_bad_file=skip "
        "--max_bad_fraction=0.091 --skip_conflicts --skip_empty_class"
    )


@pytest.mark.fault(102)
def test_the_flags_of_an_answer_go_on(root):
    with pytest.raises(Troubles) as caught:
        source.read(root, rules=Rules(max_pixels=2000))
    rules = dataclasses.replace(rules_of(caught.value.flags), max_pixels=2000)
    examples = source.read(root, rules=rules)
    assert examples.class_names == ("a", "b")
    kept = [*(f"a/{n}.png" for n in range(1, 4)), *(f"b/{n}.png" for n in range(4))]
    assert list(examples.names) == kept
    assert [name for name, _ in examples.skipped] == ["a/large.png", "a/0.png", "b/same.png"]


@pytest.mark.fault(102)
def test_troubles_of_both_parts_are_in_one_answer(tmp_path):
    root = tree(
        tmp_path, [f"{p}/{c}/{n}.png" for p in ("train", "val") for c in "ab" for n in "12"]
    )
    (root / "train" / "a" / "bad.png").touch()
    (root / "val" / "b" / "bad.png").write_text("x")
    (root / "train" / "c").mkdir()
    with pytest.raises(Troubles) as caught:
        source.read(root)
    assert [trouble.line.split(" - ")[0] for trouble in caught.value.found] == [
        f"bad pictures in {root}/train",
        f"empty classes in {root}/train",
        f"bad pictures in {root}/val",
    ]
    examples = source.read(root, rules=rules_of(caught.value.flags))
    assert len(examples) == 8
    assert examples.class_names == ("a", "b")


@pytest.mark.fault(102)
def test_where_nothing_would_be_left_no_way_is_offered(tmp_path):
    root = tree(tmp_path, ["a/1.png"])
    (root / "b").mkdir()
    (root / "b" / "bad.png").touch()
    assert "--" not in refused(root).split("\n")[0]
    (root / "c").mkdir()
    assert "to go on" not in refused(root)


@pytest.mark.fault(102)
@pytest.mark.parametrize("flag", ["allow_outside_links", "on_bad_file"])
def test_either_remedy_of_a_link_out_of_the_root_works(tmp_path, flag):
    root = tree(tmp_path / "data", ["a/1.png", "b/1.png"])
    (root / "b" / "out").symlink_to(tree(tmp_path / "elsewhere", ["2.png"]))
    assert f"--{flag}" in refused(root)
    values = {"allow_outside_links": True} if flag != "on_bad_file" else {flag: "skip"}
    assert len(source.read(root, rules=Rules(**values))) == (3 if flag != "on_bad_file" else 2)


def told(folder, count, scan, command, capsys):
    """Scans a troubled folder, checks what is said, and goes on by the command that it says."""
    counts = troubled.build(folder, count)
    started = time.perf_counter()
    code, out, err = scan(folder)
    seconds = time.perf_counter() - started
    lines = out.splitlines()
    assert code == 3
    assert all(line.startswith("scanning ") for line in err.splitlines())
    assert len(lines) < 2 * SCREEN  # a table of 20 classes, and 20 bad files by name
    assert any(f"{counts['bad']} unreadable" in line for line in lines)
    with pytest.raises(Troubles) as caught:
        source.read(folder, rules=rules_of([]))
    answer = str(caught.value)
    assert len(answer.splitlines()) < SCREEN / 2
    assert f"{counts['conflicts']} of " in answer
    assert "empty classes" in answer
    assert "link out of the root" in answer
    assert "10 placeholders of iCloud" in answer
    assert "run is left out: a run folder of hw2" in answer
    assert "nearly all of one level" in answer
    way = lines[-1].removeprefix("to go on without them: hw2 train ")
    path, *flags = shlex.split(way)
    assert path == str(folder)
    examples = source.read(path, rules=rules_of(flags))
    assert len(examples) == counts["good"] + counts["flat"]
    assert examples.class_names == tuple(troubled.CLASSES)
    assert scan(folder, *flags)[0] == 0
    return seconds


@pytest.mark.fault(102)
def test_a_folder_with_every_kind_of_trouble(tmp_path, scan, command, capsys):
    told(tmp_path / "data", 2_000, scan, command, capsys)


@pytest.mark.slow
@pytest.mark.fault(102)
def test_a_large_folder_with_every_kind_of_trouble(tmp_path, scan, command, capsys):
    import resource

    seconds = told(tmp_path / "data", 200_000, scan, command, capsys)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "cores": os.cpu_count()}))
