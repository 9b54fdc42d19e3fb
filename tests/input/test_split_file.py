"""A split given as a file: its own format or two columns, and a line about what is wrong."""

import re

import numpy as np
import pytest

from hw2.errors import DataError
from hw2.input import split, split_file
from hw2.input.examples import Examples

EXAMPLES = Examples(
    ("a/1.png", "a/2.png", "b/1.png", "b/ü.png"),
    np.array([0, 0, 1, 1], np.int32),
    ("a", "b"),
    3,
    lambda i, s: None,
    digests=np.array([b"\1\2", b"", b"\3", b"\4"], "S16"),
)
GOOD = "name,part\na/1.png,train\na/2.png,validation\nb/1.png,train\nb/ü.png,validation\n"


def test_two_columns_in_any_order(tmp_path):
    path = tmp_path / "s.csv"
    head, *lines = GOOD.splitlines()
    path.write_text("\n".join([head, *reversed(lines)]))
    train, validation = split_file.read(path, EXAMPLES)
    assert train.tolist() == [0, 2]
    assert validation.tolist() == [1, 3]


def test_the_split_of_a_run_is_one(tmp_path):
    split.write(tmp_path / "s.csv", EXAMPLES, np.array([1, 2]), np.array([0, 3]))
    train, validation = split_file.read(tmp_path / "s.csv", EXAMPLES)
    assert train.tolist() == [1, 2]
    assert validation.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file,part\n", ":1 - expected the header name,part, got file,part"),
        (GOOD + "b/9.png,train\n", ":6 - no picture b/9.png in the data"),
        (GOOD + "a/1.png,train\n", ":6 - a/1.png is in line 2 already; remove one"),
        (
            GOOD.replace("1.png,train", "1.png,tst"),
            ":2 - the part must be train or validation, got",
        ),
        (GOOD.replace("b/1.png,train\n", ""), " - 1 of 4 are not named: b/1.png; add them"),
        (GOOD.replace("validation", "train"), "no validation pictures in "),
        (GOOD.replace("train", "validation"), "no train pictures in "),
        ("name,part,class\na/1.png,train,b\n", ":2 - a/1.png is of 'a', got 'b'; correct the"),
        ("name,part,digest\na/1.png,train,09\n", ":2 - a/1.png has other content than the digest"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(DataError, match=re.escape(words)) as caught:
        split_file.read(tmp_path / "s.csv", EXAMPLES)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(DataError, match=r"unreadable list in .*s\.csv - no such file"):
        split_file.read(tmp_path / "s.csv", EXAMPLES)
