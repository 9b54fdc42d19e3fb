"""Splits by group: none is parted, and every class gets about its fraction."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw2.errors import DataError
from hw2.input import grouped, groups, split
from hw2.input.examples import Examples


def named(names, labels, **more):
    labels = np.array(labels, np.int32)
    classes = tuple("abc"[: max(labels.max() + 1, 2)])
    return Examples(tuple(names), labels, classes, 3, lambda i, s: None, **more)


FILM = named(
    [f"{c}/film{f}_{i}.png" for c in "ab" for f in range(10) for i in range(7)], [0] * 70 + [1] * 70
)


@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), min_size=1, max_size=60),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=80, deadline=None)
def test_no_group_is_parted_and_every_class_trains(rows, fraction, seed):
    labels, numbers = np.array(rows).T
    train, validation = grouped.draw(labels, numbers, fraction, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, validation])), range(len(labels)))
    assert not set(numbers[train]) & set(numbers[validation])
    assert set(labels[train]) == set(labels)


def test_groups_of_one_are_stratified_to_the_picture():
    labels = np.repeat([0, 1, 2], [100, 50, 10])
    _, validation = grouped.draw(labels, np.arange(160), 0.2, seed=1)
    assert np.bincount(labels[validation]).tolist() == [20, 10, 2]
    _, again = grouped.draw(labels, np.arange(160), 0.2, seed=1)
    _, other = grouped.draw(labels, np.arange(160), 0.2, seed=2)
    np.testing.assert_array_equal(validation, again)
    assert not np.array_equal(validation, other)


def test_patients_of_several_classes_and_sizes_come_near_the_fraction():
    rng = np.random.default_rng(0)
    sizes = rng.integers(5, 60, 80)
    patients = np.repeat(np.arange(80), sizes)
    labels = (rng.random(len(patients)) < 0.3 * (patients % 3)).astype(int)
    for fraction in (0.1, 0.2, 0.5):
        _, validation = grouped.draw(labels, patients, fraction, seed=3)
        counts = np.bincount(labels[validation]) / np.bincount(labels)
        assert np.abs(counts - fraction).max() < 0.02


def test_two_large_groups_leave_one_to_validate():
    train, validation = grouped.draw(
        np.array([0] * 8 + [1] * 8), np.repeat([0, 1, 2, 3], 4), 0.1, 0
    )
    assert len(train) == len(validation) == 8


def test_frames_of_a_film_stay_together():
    keys = groups.keys(FILM, r"(film\d)_", "data")
    assert keys[0] == "film0"
    assert keys[-1] == "film9"
    numbers = groups.numbers(keys, None)
    train, validation = split.draw(FILM, 0.2, 5, numbers)
    assert groups.parted(keys, train, validation) == []
    assert len(validation) == 28  # two of ten films, in both classes
    _, parted = split.draw(FILM, 0.2, 5)
    assert groups.parted(keys, np.setdiff1d(np.arange(140), parted), parted)
    assert groups.notes(FILM, keys, "x", validation) == [
        "10 groups by --group_by=x: 20.0% of the pictures validate"
    ]


def test_pictures_of_equal_content_join_their_groups():
    digests = np.array([b"1", b"2", b"2", b"3"], "S16")
    keys = np.array(["p", "p", "q", ""], object)
    assert len(set(groups.numbers(keys, digests)[:3])) == 1
    assert len(set(groups.numbers(keys, None))) == 3


def test_groups_that_split_nothing_are_refused_in_one_line():
    keys = groups.keys(FILM, r"(patient\d)", "data")
    with pytest.raises(
        DataError, match=r"^no groups in data - --group_by=\(pat.* finds none in 140"
    ):
        groups.checked(keys, FILM, r"(patient\d)", "data")
    with pytest.raises(DataError, match=r"^one group only in data - .* pictures are of film,"):
        groups.checked(groups.keys(FILM, "(film)", "data"), FILM, "(film)", "data")
    with pytest.raises(DataError, match=r"^no columns in data - --group_by=column:x needs a \.csv"):
        groups.keys(FILM, "column:x", "data")


def test_pictures_in_no_group_and_classes_in_one_are_told():
    examples = named(["a/f1_0", "a/f1_1", "b/f2_0", "b/f3_0", "b/loose"], [0, 0, 1, 1, 1])
    keys = groups.keys(examples, r"(f\d)_", "data")
    assert groups.notes(examples, keys, "x", np.array([2]))[1:] == [
        "1 pictures are in no group, and each is one by itself: b/loose",
        "classes with all pictures in one group, which only train: a (f1)",
    ]


def test_new_pictures_follow_their_group(tmp_path):
    keys = groups.keys(FILM, r"(film\d)_", "data")
    parts = split.draw(FILM, 0.2, 5, groups.numbers(keys, None))
    split.write(tmp_path / "split.csv", FILM, *parts)
    names = (*FILM.names, *(f"a/film{f}_new.png" for f in range(10)))
    labels = np.append(FILM.labels, np.zeros(10, np.int32))
    more = dataclasses.replace(FILM, names=names, labels=labels)
    found = groups.keys(more, r"(film\d)_", "data")
    train, validation = split.renewed(
        tmp_path / "split.csv", more, 0.2, 5, groups.numbers(found, None)
    )
    assert groups.parted(found, train, validation) == []
    assert len(validation) == len(parts[1]) + 2
