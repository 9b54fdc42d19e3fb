"""The protocol of the solar cells: its folds, and the score of answers."""

import collections
import csv

import pytest

from tests import guide


@pytest.fixture
def elpv_protocol():
    import elpv_protocol  # which conftest.py puts on the path

    return elpv_protocol


@pytest.fixture
def folder(tmp_path, monkeypatch, elpv_protocol):
    """The files of the protocol, from a little package."""
    guide.cells(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    elpv_protocol.make(tmp_path / "cells", 0)
    return tmp_path / "cells"


def rows(path):
    with path.open(newline="") as file:
        return [(row["file"], row["class"]) for row in csv.DictReader(file)]


def test_every_cell_is_tested_once_and_kinds_keep_their_shares(folder, elpv_protocol):
    seen = collections.Counter()
    for number in range(1, 5):
        train = rows(folder / f"fold{number}_train.csv")
        test = rows(folder / f"fold{number}_test.csv")
        assert (len(train), len(test)) == (24, 8)
        assert collections.Counter(label for _, label in test) == {"functional": 4, "defective": 4}
        assert not {name for name, _ in train} & {name for name, _ in test}
        assert all((folder / name).exists() for name, _ in train)
        seen.update(name for name, _ in test)
    assert set(seen.values()) == {1}
    assert len(seen) == 32
    with pytest.raises(SystemExit, match="is not empty - give a new folder"):
        elpv_protocol.make(folder, 0)


def test_an_answer_is_scored(folder, tmp_path, elpv_protocol):
    found = elpv_protocol.cells(elpv_protocol.package())
    test = rows(folder / "fold1_test.csv")
    answers = [label for _, label in test]
    answers[answers.index("defective")] = "functional"  # one of four defective cells is missed
    lines = [f"{name},{answer}" for (name, _), answer in zip(test, answers, strict=True)]
    one = tmp_path / "one.csv"
    one.write_text("\n".join(["name,class", *lines]))
    [figures] = elpv_protocol.score([one], found)
    assert figures["accuracy"] == 7 / 8
    assert figures["macro F1"] == pytest.approx((8 / 9 + 6 / 7) / 2)
    with pytest.raises(ValueError, match="must not name a cell that an answer has named before"):
        elpv_protocol.score([one, one], found)
    (tmp_path / "two.csv").write_text("name,class\nimages/no.png,functional")
    with pytest.raises(ValueError, match="must name cells of the package, got images/no"):
        elpv_protocol.score([tmp_path / "two.csv"], found)
