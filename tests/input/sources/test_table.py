"""Lists of pictures and of labels; test_case_arrays.py has those with a mistake."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hw2.errors import DataError
from hw2.input import source
from hw2.input.sources import table
from tests.input.faulty import noise, refused, tree


def write(path, text):
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def test_worked_example(tmp_path):
    tree(tmp_path, ["2.png", "deep/er/1.png", "3.png"])
    path = write(tmp_path / "list.csv", "file,class\n2.png,ox\ndeep/er/1.png,cat\n3.png,ox\n")
    examples = source.read(path)
    assert examples.names == ("2.png", "deep/er/1.png", "3.png")  # in the order of the list
    assert examples.class_names == ("cat", "ox")
    assert examples.labels.tolist() == [1, 0, 1]
    assert examples.notes == ()
    assert examples.load(1, 30).shape == (30, 40, 3)


@pytest.mark.parametrize("file", table.FILE)
@pytest.mark.parametrize("label", table.CLASS)
def test_headers(tmp_path, file, label):
    path = write(tmp_path / "list.csv", f"{file},{label}\nx.png,a\ny.png,b\n")
    assert table.is_list(path)
    assert table.listing(path).names == ["x.png", "y.png"]


def test_what_is_no_list(tmp_path):
    for text in ("label\n1\n", "id,label\n1,2\n", "class\na\n"):
        assert not table.is_list(write(tmp_path / "x.csv", text))
    for text in ("", "a;b\n", "picture,class\n", "nonsense\n"):
        assert table.is_list(write(tmp_path / "x.csv", text))


def test_numbers_are_sorted_as_numbers(tmp_path):
    path = write(tmp_path / "x.csv", "file,class\na,10\nb,9\nc,010\nd,2\n")
    listing = table.listing(path)
    assert listing.class_names == ("2", "9", "010", "10")  # texts all the same
    assert listing.labels.tolist() == [3, 1, 2, 0]


def test_classes_of_a_model(tmp_path):
    path = write(tmp_path / "x.csv", "file,class\na,007\nb,3\n")
    listing = table.listing(path, ["7", "5", "3"])
    assert listing.class_names == ("7", "5", "3")
    assert listing.labels.tolist() == [0, 2]


def test_one_class_only(tmp_path):
    path = write(tmp_path / "x.csv", "file,class\na.png,x\nb.png,x\n")
    assert refused(path) == (f"no classes in {path} - one class only, x; two are needed at least")


def test_fields_over_several_lines_are_named_by_their_last(tmp_path):
    tree(tmp_path, ["x.png"])
    noise(3).save(tmp_path / "two\nlines.png")
    path = write(tmp_path / "x.csv", 'file,class\n"two\nlines.png",a\nx.png,b\nnone.png,b\n')
    assert table.listing(path).lines == [3, 4, 5]
    assert f"bad picture in {path}:5 (none.png) - no such file" in refused(path)


def test_a_folder_is_no_picture(tmp_path):
    tree(tmp_path, ["x.png", "sub/y.png"])
    path = write(tmp_path / "x.csv", "file,class\nx.png,a\nsub,b\n")
    assert f"bad picture in {path}:3 (sub) - not a regular file; remove it" in refused(path)


def test_an_unreadable_list(tmp_path, monkeypatch):
    path = write(tmp_path / "x.csv", "file,class\n")

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(DataError) as caught:
        table.listing(path)
    assert str(caught.value) == (f"unreadable list in {path} - permission denied; make it readable")


# Labels of an array.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("label\n2\n0\n2\n", [1, 0, 1]),
        ("id,label\n2,0\n1,2\n3,2\n", [1, 0, 1]),
        ("ID,Class\n2,2\n0,2\n1,0\n", [1, 0, 1]),
        ("index,species\n1,ox\n2,cat\n3,ox\n", [1, 0, 1]),
    ],
)
def test_labels(tmp_path, text, expected):
    labels, names = table.read_labels(write(tmp_path / "x.csv", text), 3)
    assert labels.dtype == np.int32
    assert labels.tolist() == expected
    assert names in {("0", "2"), ("cat", "ox")}


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("label,x\n1,2\n", 1, "expected the header label, got 'label,x'; labels of an array have "),
        ("id,label\n1,0\n1,1\n2,0\n", 3, "id 1 occurs twice; remove one"),
        ("id,label\n1,0\n4,1\n2,0\n", 3, "expected an id in [1, 4), got '4'; ids are the numbers "),
        ("id,label\n0,0\n3,1\n2,0\n", 3, "expected an id in [0, 3), got '3'; ids are the numbers "),
        ("id,label\n1,0\nx,1\n2,0\n", 3, "expected an id in [1, 4), got 'x'; ids are the numbers "),
        ("id,label\n1,0\n-1,1\n2,0\n", 3, "expected an id in [1, 4), got '-1'; ids are the numbe"),
        ("label\n1\n\n0\n", 3, "the line is empty; remove it"),
    ],
)
def test_labels_with_a_mistake(tmp_path, text, line, why):
    path = write(tmp_path / "x.csv", text)
    with pytest.raises(DataError) as caught:
        table.read_labels(path, 3)
    assert str(caught.value).startswith(f"bad line in {path}:{line} - {why}")


def test_too_many_labels(tmp_path):
    path = write(tmp_path / "x.csv", "label\n1\n2\n")
    with pytest.raises(DataError) as caught:
        table.read_labels(path, 3)
    assert str(caught.value) == (
        f"bad labels in {path} - 2 labels for 3 images; take both from one data set"
    )


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(content=st.binary(max_size=60), start=st.sampled_from([b"", b"file,class\n", b"label\n"]))
def test_any_bytes_are_a_list_or_a_data_error_that_names_the_line(tmp_path, content, start):
    path = tmp_path / "x.csv"
    path.write_bytes(start + content)
    for call in (table.listing, lambda p: table.read_labels(p, 3)):
        said = str(path)
        try:
            call(path)
        except DataError as error:
            said = str(error)
        assert str(path) in said
        assert "\n" not in said
