import dataclasses
import os
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw2.errors import DataError
from hw2.input import split
from hw2.input.examples import Examples


def named(names, labels=None, class_names=("a", "b"), digests=None):
    labels = np.arange(len(names)) % 2 if labels is None else labels
    return Examples(
        tuple(names),
        np.array(labels, np.int32),
        tuple(class_names),
        3,
        load=lambda i, s: None,
        digests=None if digests is None else np.array(digests, "S16"),
    )


def test_a_fraction_of_every_class():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    train, validation = split.stratified(labels, 0.2, seed=1)
    assert np.bincount(labels[validation]).tolist() == [20, 10, 2]
    assert train.dtype == validation.dtype == np.int64
    np.testing.assert_array_equal(np.union1d(train, validation), np.arange(160))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()


def test_the_seed_decides():
    labels = np.arange(100) % 4
    first, again, other = (split.stratified(labels, 0.2, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@given(
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=40),
    fraction=st.floats(0.001, 0.999),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=60, deadline=None)
def test_any_labels_can_be_split(labels, fraction, seed):
    labels = np.array(labels)
    train, validation = split.stratified(labels, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), range(len(labels)))
    assert set(labels[train]) == set(labels)


def test_single_pictures_are_for_training_and_noted():
    examples = named(["w", "x", "y", "z"], labels=[0, 1, 1, 2], class_names=["p", "q", "r", "s"])
    train, validation = split.stratified(examples.labels, 0.5, seed=0)
    assert len(validation) == 1
    assert examples.labels[validation].tolist() == [1]
    assert split.notes(examples, train, validation) == (
        "no train picture of s",
        "no validation picture of p, r, s",
    )
    both = np.arange(4)
    assert split.notes(named("wxyz"), both, both) == ()


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_fractions_that_are_none(fraction):
    with pytest.raises(ValueError, match=re.escape(f"must be in (0, 1), got {fraction}.")):
        split.stratified(np.zeros(9, int), fraction, 0)


def test_worked_example_of_the_file(tmp_path):
    path = tmp_path / "split.csv"
    split.write(path, named(["a/1.png", "b/2.png", "a/3.png"]), np.array([0, 1]), np.array([2]))
    assert path.read_bytes() == (
        b"name,class,part,digest\r\na/1.png,a,train,\r\nb/2.png,b,train,\r\n"
        b"a/3.png,a,validation,\r\n"
    )
    assert os.listdir(tmp_path) == ["split.csv"]


def test_pictures_are_found_by_name(tmp_path):
    path = tmp_path / "split.csv"
    split.write(path, named(["x", "y", "z"], [0, 1, 0]), np.array([0, 2]), np.array([1]))
    moved = named(["z", "x", "y"], [1, 1, 0], class_names=["b", "a"])
    train, validation = split.read(path, moved)
    assert train.tolist() == [0, 1]
    assert validation.tolist() == [2]
    assert train.dtype == validation.dtype == np.int64


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(names=st.lists(st.binary(min_size=1).map(os.fsdecode), min_size=2, unique=True))
def test_names_of_any_bytes_come_back(tmp_path, names):
    names = [name.replace("\0", "0") for name in names]
    if len(set(names)) < len(names):
        return
    examples = named(names, class_names=names[:2])
    split.write(tmp_path / "s.csv", examples, np.array([0]), np.arange(1, len(names)))
    train, validation = split.read(tmp_path / "s.csv", examples)
    assert train.tolist() == [0]
    assert validation.tolist() == list(range(1, len(names)))


def test_changed_data_is_refused(tmp_path):
    path = tmp_path / "split.csv"
    old = [f"{i}.png" for i in range(8)]
    split.write(path, named(old), np.arange(4), np.arange(4, 8))
    now = named(["new.png", *old[5:]], labels=[0, 1, 1, 1])
    with pytest.raises(DataError) as caught:
        split.read(path, now)
    assert str(caught.value) == (
        f"old split in {path} - the data has changed, from 8 pictures to 4: 5 missing (0.png, "
        "1.png, 2.png and 2 more), 1 new (new.png), 1 of another class (6.png); restore the data, "
        "resume with it as it is by --accept_new_data, or start a new training with another "
        "--log_path"
    )


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        ("", 1, "expected the header name,class,part,digest"),
        ("name,class\n", 1, "expected the header name,class,part,digest"),
        ("HEAD\nx,a,train,\ny,b,\n", 3, "expected a name, a class, train or validation and a d"),
        ("HEAD\nx,a,test,\n", 2, "expected a name, a class, train or validation and a digest"),
        ("HEAD\nx,a,train,g1\n", 2, "expected a name, a class, train or validation and a digest"),
        ("HEAD\nx,a,train,\nx,a,train,\n", 3, "x occurs twice"),
        ('HEAD\nx,a,"train', 1, "unexpected end of data"),
        ('HEAD\n"x"y,a,train,\n', 1, "',' expected after '\"'"),
    ],
)
def test_damaged_files(tmp_path, content, line, why):
    path = tmp_path / "split.csv"
    path.write_text(content.replace("HEAD", "name,class,part,digest"))
    with pytest.raises(DataError) as caught:
        split.read(path, named(["x", "y"]))
    assert str(caught.value).startswith(f"bad split in {path}:{line} - {why}")


def test_no_file(tmp_path):
    with pytest.raises(
        DataError, match=r"bad split in .*/none:1 - No such file or directory; restore it"
    ):
        split.read(tmp_path / "none", named(["x", "y"]))


# The same content.


def test_the_same_content_falls_into_one_part():
    digests = [bytes([65 + i // 3]) for i in range(60)]  # twenty pictures, three times each
    examples = named([f"{i}.png" for i in range(60)], np.arange(60) // 30, digests=digests)
    train, validation = split.draw(examples, 0.3, seed=1)
    assert len(train) + len(validation) == 60
    assert not {digests[i] for i in train} & {digests[i] for i in validation}
    assert np.bincount(examples.labels[validation]).tolist() == [9, 9]


def test_parts_that_the_source_names():
    examples = named("abcd")
    examples = dataclasses.replace(examples, validation=np.array([True, False, False, True]))
    train, validation = split.draw(examples, 0.5, seed=0)
    assert train.tolist() == [1, 2]
    assert validation.tolist() == [0, 3]


def test_other_content_under_an_old_name_is_refused(tmp_path):
    path = tmp_path / "split.csv"
    digests = [b"\1" * 16, b"\2" * 15, b"\3"]  # of which NumPy keeps no zeros at the end
    examples = named("xyz", digests=digests)
    split.write(path, examples, np.array([0, 2]), np.array([1]))
    assert path.read_text().splitlines()[3] == "z,a,train,03"
    assert split.read(path, examples)[1].tolist() == [1]
    assert split.read(path, named("xyz"))[1].tolist() == [1]  # content that nobody hashed
    changed = named("xyz", digests=[digests[0], b"new", digests[2]])
    with pytest.raises(DataError, match=r"from 3 pictures to 3: 1 of other content \(y\);"):
        split.read(path, changed)


def test_new_data_is_accepted_and_old_pictures_stay_where_they_were(tmp_path):
    path = tmp_path / "split.csv"
    old = named([f"{i}.png" for i in range(40)])
    train, validation = split.draw(old, 0.25, seed=0)
    split.write(path, old, train, validation)
    names = [f"{i}.png" for i in range(20, 80)]
    new = named(names)
    train_now, validation_now = split.renewed(path, new, 0.25, seed=0)
    assert {names[i] for i in validation_now if i < 20} == {
        f"{i}.png" for i in validation if i > 19
    }
    assert {names[i] for i in train_now if i < 20} == {f"{i}.png" for i in train if i > 19}
    assert 0 < (validation_now >= 20).sum() < 20


def test_a_renamed_picture_stays_in_its_part(tmp_path):
    path = tmp_path / "split.csv"
    digests = [b"%d" % i for i in range(40)]
    old = named([f"{i}.png" for i in range(40)], digests=digests)
    train, validation = split.draw(old, 0.25, seed=0)
    split.write(path, old, train, validation)
    assert split.changes(path, old) == ""
    new = named([f"{i}.jpg" for i in range(41)], digests=[*digests, digests[validation[0]]])
    for seed in range(3):
        _, validation_now = split.renewed(path, new, 0.25, seed=seed)
        assert validation_now.tolist() == [*validation, 40]  # a copy goes where its twin is
    assert split.changes(path, new) == (
        "from 40 pictures to 41: 40 missing (0.png, 1.png, 2.png and 37 more), "
        "41 new (0.jpg, 1.jpg, 2.jpg and 38 more)"
    )


def test_parts_that_the_source_names_are_renewed_as_it_says(tmp_path):
    path = tmp_path / "split.csv"
    old = named("abcd", digests=[b"1", b"2", b"3", b"4"])
    split.write(path, old, np.array([0, 1, 2]), np.array([3]))
    moved = dataclasses.replace(old, validation=np.array([True, False, False, False]))
    train, validation = split.renewed(path, moved, 0.25, seed=0)
    assert (train.tolist(), validation.tolist()) == ([1, 2, 3], [0])


def test_test_pictures_that_were_trained_on(tmp_path):
    path = tmp_path / "split.csv"
    split.write(path, named("xyz", digests=[b"1", b"2", b"3"]), np.array([0, 1]), np.array([2]))
    test = named("abcd", digests=[b"3", b"2", b"4", b"2"])
    assert split.trained_on(path, test) == [("y", "b"), ("y", "d")]
