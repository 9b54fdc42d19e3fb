"""Lists with several labels a picture, in one column or in a column for each class."""

import numpy as np
import pytest

from hw2.errors import DataError
from hw2.input import source, split
from hw2.input.examples import Examples, joined
from hw2.input.files.rules import Rules
from hw2.input.sources import shard_writer, table, unlabelled
from tests.input.faulty import refused, tree

NAMES = ["1.png", "2.png", "3.png", "4.png"]
SETS = "file,labels\n1.png,cat;dog\n2.png,\n3.png, dog ; Bird\n4.png,cat\n"
COLUMNS = "cat,Dog,file,Bird\n1,1,1.png,0\n0,0,2.png,0\n0,1.0,3.png,1\n1,0,4.png,0\n"
LABELS = [[0, 1, 1], [0, 0, 0], [1, 0, 1], [0, 1, 0]]  # Bird, cat, dog


@pytest.fixture
def made(tmp_path):
    """Writes a list beside its pictures."""
    tree(tmp_path, NAMES)

    def call(text, name="list.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return call


def test_a_column_of_labels(made):
    examples = source.read(made(SETS))
    assert examples.class_names == ("Bird", "cat", "dog")
    assert examples.several
    assert examples.labels.dtype == np.uint8
    assert examples.labels.tolist() == LABELS
    assert examples.notes == ("1 of 4 pictures have no label",)


def test_a_column_for_each_class_keeps_their_order_and_case(made):
    examples = source.read(made(COLUMNS))
    assert examples.class_names == ("cat", "Dog", "Bird")
    assert examples.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 1], [1, 0, 0]]


@pytest.mark.parametrize("header", ["file,Tags", "labels,Path", "image,categories"])
def test_headers(made, header):
    cells = ("1.png", "a;b") if header.split(",")[1] != "Path" else ("a;b", "1.png")
    path = made(f"{header}\n{','.join(cells)}\n")
    assert table.listing(path).labels.tolist() == [[1, 1]]


def test_a_column_of_groups_is_no_class(made):
    path = made("file,patient,a,b\n1.png,x,1,0\n2.png,y,0,1\n")
    found = table.listing(path, rules=Rules(group_by="column:patient"))
    assert found.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("file,labels\n1.png,a;;b\n", 2, "a label is empty in 'a;;b'; write ; between two labels"),
        ("file,labels\n1.png,a;\n", 2, "a label is empty in 'a;'; write ; between two labels only"),
        ("file,labels\n1.png,a; a\n", 2, "label 'a' is there twice; remove one"),
        ("file,a,b\n1.png,1,2\n", 2, "column 'b' must have 1 or 0, got '2'; correct it, or leave"),
        ("file,a,b\n1.png,1,\n", 2, "column 'b' must have 1 or 0, got ''; correct it, or leave"),
        ("file,a,b\n1.png,-1,0\n", 2, "column 'a' must have 1 or 0, got '-1'; correct it"),
        ("file,a,A,a\n1.png,1,0,0\n", 1, "two columns are named a; remove one"),
        ("file,a,\n1.png,1,0\n", 1, "a class cannot be named ''; name each column, without ;"),
        ("file,a;b,c\n1.png,1,0\n", 1, "a class cannot be named 'a;b'; name each column, without"),
        ("file,labels,a\n1.png,a,1\n", 1, "the header 'file,labels,a' is ambiguous: labels may "),
        ("file,image,a,b\n1.png,x,1,0\n", 1, "the header 'file,image,a,b' is ambiguous: file and "),
        ("file,class,labels\n1.png,a,b\n", 1, "expected the header file,class, got 'file,class,la"),
        ("file,a\n1.png,1\n", 1, "expected the header file,class, got 'file,a'"),
        ("file,class\n1.png,a;b\n2.png,a\n", 2, "'a;b' is several labels, and the header means"),
        ("file,labels\n", 1, "no line after the header; list the pictures"),
        ("file,labels\n1.png,a\n1.png,b\n", 3, "1.png is in line 2 already; remove one"),
    ],
)
def test_what_is_refused(made, text, line, why):
    path = made(text)
    assert refused(path).startswith(f"bad line in {path}:{line} - {why}")


def test_a_semicolon_in_the_name_of_a_class_is_no_separator(made):
    path = made("file,class\n1.png,a;b\n2.png,c\n")
    assert table.listing(path).class_names == ("a;b", "c")


def test_one_label_only(made):
    path = made("file,labels\n1.png,a\n2.png,\n")
    assert refused(path) == f"no classes in {path} - a only; two are needed at least"


def test_known_classes(made):
    known = ["dog", "cow", "cat", "Bird"]
    found = source.read(made(SETS), class_names=known)
    assert found.labels[0].tolist() == [1, 0, 1, 0]
    assert source.read(made(SETS)).with_classes(known).labels.tolist() == found.labels.tolist()
    path = made("file,labels\n1.png,cat\n2.png,cat;Cow\n")
    assert refused(path, class_names=known).startswith(
        f"bad line in {path}:3 - label 'Cow' is not one of the 4 classes dog, cow, cat, Bird "
        "('cow' differs from it"
    )
    words = refused(made("file,cat,ox\n1.png,1,0\n"), class_names=known)
    assert "unknown classes in the data - ox" in words


def test_the_same_picture_with_other_labels_is_a_conflict(made, tmp_path):
    (tmp_path / "5.png").write_bytes((tmp_path / "1.png").read_bytes())
    words = refused(made(SETS + "5.png,cat\n"))
    assert "2 of 5 pictures have different labels at one place and another" in words
    kept = source.read(made(SETS + "5.png,dog;cat\n"))
    assert "1 repeated within their class: 1.png = 5.png" in kept.notes


def test_shards_keep_several_labels(made, tmp_path):
    examples = source.read(made(SETS))
    out = tmp_path / "shards"
    shard_writer.write(examples, out)
    for _ in range(2):
        found = source.read(out)
        at = [examples.names.index(name) for name in found.names]
        assert found.class_names == examples.class_names
        assert found.labels.tolist() == examples.labels[at].tolist()
        (out / "index.npz").unlink(missing_ok=True)  # then every record is read


def test_pictures_to_classify(made):
    known = ("Bird", "cat", "dog")
    found = unlabelled.find_pictures(made(SETS), known)
    assert found.several
    assert found.labelled_for(True).labels.tolist() == LABELS
    other = found.labelled_for(False)
    assert other.labels.tolist() == [-1] * 4
    assert other.notes[-1] == (
        "the labels are not compared: they are several labels a picture, and the model gives one "
        "label"
    )
    one = unlabelled.find_pictures(made("file,class\n1.png,cat\n"), known).labelled_for(True)
    assert one.labels.tolist() == [-1]
    assert "they are one label a picture" in one.notes[-1]


def of_labels(labels, **more):
    """Examples without images."""
    count, classes = labels.shape
    names = tuple(f"{n:05d}" for n in range(count))
    class_names = tuple(f"c{n}" for n in range(classes))
    return Examples(names, labels, class_names, 1, lambda index, size: np.zeros(0), **more)


def test_a_split_has_a_fraction_of_every_class_and_of_all(tmp_path):
    rng = np.random.default_rng(0)
    rare = np.array([0.5, 0.3, 0.1, 0.05, 0.01])
    examples = of_labels((rng.random([2000, 5]) < rare).astype(np.uint8))
    train, validation = split.draw(examples, 0.2, seed=3)
    assert len(train) + len(validation) == 2000
    assert abs(len(validation) - 400) <= 4
    drawn, counts = examples.labels[validation].sum(0), examples.labels.sum(0)
    assert np.abs(drawn - 0.2 * counts).max() <= 3
    split.write(tmp_path / "split.csv", examples, train, validation)
    again = split.read(tmp_path / "split.csv", examples)
    assert [part.tolist() for part in again] == [train.tolist(), validation.tolist()]
    changed = examples.labels.copy()
    changed[7] = 1 - changed[7]
    assert "1 of another class (00007)" in split.changes(tmp_path / "split.csv", of_labels(changed))
    other = split.draw(examples, 0.2, seed=4)[1]
    assert other.tolist() != validation.tolist()


def test_the_same_content_stays_in_one_part():
    labels = np.eye(4, dtype=np.uint8)[np.arange(80) % 4]
    digests = np.array([bytes([n // 8 + 1]) * 16 for n in range(80)], "S16")
    _, validation = split.draw(of_labels(labels, digests=digests), 0.3, seed=0)
    assert all(len(set(validation.tolist()) & set(range(n, n + 8))) in (0, 8) for n in (0, 8, 16))


def test_labels_are_of_one_kind_in_all_parts(made):
    sets = source.read(made(SETS))
    one = source.read(made("file,class\n1.png,cat\n2.png,dog\n", "one.csv"))
    with pytest.raises(DataError, match="other labels in the validation part - one label a pict"):
        joined(sets, one)
