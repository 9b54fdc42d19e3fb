"""What is wrong with arrays and tables, case by case, each in a real file of the kind.

Tests of case NN are called test_case_NN_...

| case | what |
|---|---|
| 35 | an array of pickled objects |
| 36 | .npy truncated, empty, text, or of 373 GiB by its header |
| 37 | NaN, infinite, out of range, of another shape or dtype |
| 38 | as many labels as images |
| 39 | CSV: BOM, CRLF, semicolons, no header, lines twice, blank, too long, quotes |
| 40 | CSV: paths and links that lead elsewhere |
| 41 | CSV: labels that are no class |
| 42 | CSV: a file that is not there |
| 43 | IDX; also test_idx.py |
"""

import gzip
import io
import os

import numpy as np
import pytest
from test_idx import LABELS, fill, packed

from hw2.errors import DataError
from hw2.input import source
from hw2.input.files.rules import Rules
from hw2.input.sources import unlabelled
from tests.input.faulty import read_in_a_process, refused, tree

FORMS = (
    "images are [N, H, W] or [N, H, W, 1 or 3], of uint8 or uint16, or of float in [0, 1] or "
    "[0, 255]"
)
IMAGES = np.random.default_rng(0).integers(0, 256, [4, 6, 5, 3], np.uint8)


def arrays(folder, images=IMAGES, labels=(0, 1, 0, 1)):
    """`x.npy` and its labels beside."""
    np.save(folder / "x.npy", images)
    np.save(folder / "x_labels.npy", np.array(labels))
    return folder / "x.npy"


# .npy and .npz


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("where", ["images", "labels", "npz"])
@pytest.mark.fault(35)
def test_case_35_pickled_objects_are_never_loaded(tmp_path, where):
    marker = tmp_path / "marker"
    evil = np.array([Payload(marker)] * 4, object)
    path = bad = arrays(tmp_path)
    if where == "npz":
        path = bad = tmp_path / "y.npz"
        np.savez(path, images=IMAGES, labels=evil)
    else:
        bad = path if where == "images" else tmp_path / "x_labels.npy"
        np.save(bad, evil)
    assert refused(path) == (
        f"bad array in {bad} - it holds pickled objects, which may run code; save labels by "
        "numpy.save(PATH, labels.astype(str)), images as numbers"
    )
    assert not marker.exists()
    loaded = np.load(bad, allow_pickle=True)
    if where == "npz":
        with loaded:
            loaded["labels"]
    assert marker.exists()  # it runs for whoever does load it


@pytest.mark.fault(36)
def test_case_36_damaged_arrays_cost_no_memory(tmp_path):
    files = {}
    whole = io.BytesIO()
    np.save(whole, IMAGES)
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        claim, {"descr": "|u1", "fortran_order": False, "shape": (400_000, 1000, 1000, 1)}
    )
    for name, content in {
        "truncated": whole.getvalue()[:-60],
        "empty": b"",
        "text": b"0,1,2,3\n",
        "huge": claim.getvalue() + bytes(100),
        "header": whole.getvalue()[:40],
    }.items():
        folder = tmp_path / name
        folder.mkdir()
        files[name] = arrays(folder)
        files[name].write_bytes(content)
    said, growth = read_in_a_process(*files.values())
    assert said == [
        f"bad array in {files['truncated']} - truncated: its header says 360 bytes of values, "
        "there are 300; fetch it again",
        f"bad array in {files['empty']} - empty; fetch it again",
        f'bad array in {files["text"]} - not an array (starts with "0,1,2,3"); write it with '
        "numpy.save",
        f"bad array in {files['huge']} - truncated: its header says 400000000000 bytes of values, "
        "there are 100; fetch it again",
        f"bad array in {files['header']} - damaged (EOF: reading array header, expected 118 bytes "
        "got 30); fetch it again",
    ]
    assert growth < 100_000  # kB


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (np.full([4, 3, 3], np.nan), "image 0 has NaN or infinite values"),
        (np.full([4, 3, 3], np.inf, np.float32), "image 0 has NaN or infinite values"),
        (np.full([4, 3, 3], -0.5), "image 0 has values in [-0.5, -0.5]"),
        (np.zeros([4, 9]), "got float64 [4, 9]"),
        (np.zeros([4, 3, 3, 2], np.uint8), "got uint8 [4, 3, 3, 2]"),
        (np.zeros([4, 3, 3, 3, 1], np.uint8), "got uint8 [4, 3, 3, 3, 1]"),
        (np.zeros([0, 3, 3], np.uint8), "got uint8 [0, 3, 3]"),
        (np.zeros([4, 3, 3], np.int64), "got int64 [4, 3, 3]"),
        (np.zeros([4, 3, 3], np.int8), "got int8 [4, 3, 3]"),
        (np.zeros([4, 3, 3], np.complex64), "got complex64 [4, 3, 3]"),
    ],
)
@pytest.mark.fault(37)
def test_case_37_values_that_are_no_pictures(tmp_path, images, why):
    path = arrays(tmp_path, images)
    assert refused(path) == f"bad array in {path} - {why}; {FORMS}"


@pytest.mark.fault(37)
def test_case_37_values_beyond_white(tmp_path):
    path = arrays(tmp_path, np.full([4, 3, 3], 256.0))
    assert refused(path) == (
        f"bad array in {path} - image 0 has values in [256, 256], beyond 255, which is white; "
        "correct it, or give the value of white as --levels"
    )


@pytest.mark.fault(37)
def test_case_37_one_bad_image_among_good_ones(tmp_path):
    images = np.random.default_rng(0).random([4, 3, 3])
    images[2, 1, 1] = np.nan
    path = arrays(tmp_path, images)
    assert refused(path) == f"bad array in {path} - image 2 has NaN or infinite values; {FORMS}"


@pytest.mark.fault(38)
def test_case_38_counts_that_differ(tmp_path):
    path = arrays(tmp_path, labels=[0, 1, 0])
    why = "3 labels for 4 images; take both from one data set"
    assert refused(path) == f"bad labels in {tmp_path}/x_labels.npy - {why}"
    (tmp_path / "x_labels.csv").write_text("label\n0\n1\n0\n")
    assert refused(path) == f"bad labels in {tmp_path}/x_labels.csv - {why}"
    np.savez(tmp_path / "y.npz", images=IMAGES, labels=[0, 1, 0])
    assert refused(tmp_path / "y.npz") == f"bad labels in {tmp_path}/y.npz - {why}"


# CSV


@pytest.fixture
def table(tmp_path):
    """Writes a list of two pictures with what is given in place of its lines."""
    tree(tmp_path, ["1.png", "2.png", "3.png"])

    def write(content):
        path = tmp_path / "list.csv"
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        return path

    return write


LIST_FORM = "a list of pictures has the header `file,class`"


@pytest.mark.parametrize(
    "content",
    [
        "\ufefffile,class\n1.png,a\n2.png,b\n",
        "file,class\r\n1.png,a\r\n2.png,b\r\n",
        "\ufeffFile , CLASS\r1.png,a\r2.png,b",
        'file,class\n"1.png","a"\n./2.png,b\n',
    ],
)
@pytest.mark.fault(39)
def test_case_39_csv_of_any_system(table, content):
    examples = source.read(table(content))
    assert examples.names == ("1.png", "2.png")
    assert examples.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        ("", 1, f"the file is empty; {LIST_FORM}"),
        ("\n1.png,a\n", 1, f"no header; {LIST_FORM}"),
        ("file;class\n1.png;a\n", 1, "fields are separated by ;; separate them by commas"),
        ("1.png,a\n2.png,b\n", 1, f"expected the header file,class, got '1.png,a'; {LIST_FORM}"),
        ("file,class\n", 1, "no line after the header; list the pictures"),
        ("file,class\n1.png,a\n1.png,b\n", 3, "1.png is in line 2 already; remove one"),
        ("file,class\n1.png,a\n./1.png,a\n", 3, "1.png is in line 2 already; remove one"),
        ("file,class\n1.png,a\n\n2.png,b\n", 3, "the line is empty; remove it"),
        ("file,class\n1.png,a,x\n", 2, "expected 2 fields, as in the header, got 3; correct it"),
        ("file,class\n1.png\n", 2, "expected 2 fields, as in the header, got 1; correct it"),
        (
            "file,class,x\n1.png,a,x\n",
            1,
            f"expected the header file,class, got 'file,class,x'; {LIST_FORM}",
        ),
        ('file,class\n"1.png"x,a\n', 2, "',' expected after '\"'; correct the quotes"),
        ('file,class\n1.png,a\n"2.png,b\n', 3, "unexpected end of data; correct the quotes"),
    ],
)
@pytest.mark.fault(39)
def test_case_39_csv_with_a_mistake(table, content, line, why):
    path = table(content)
    assert refused(path) == f"bad line in {path}:{line} - {why}"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../../etc/passwd", "../../etc/passwd leads out of the folder of the list"),
        ("a/../../x.png", "a/../../x.png leads out of the folder of the list"),
        ("/etc/passwd", "/etc/passwd is not relative, with / between folders"),
        ("C:\\x.png", "C:\\x.png is not relative, with / between folders"),
        ("c:/x.png", "c:/x.png is not relative, with / between folders"),
        ("a\\x.png", "a\\x.png is not relative, with / between folders"),
        ("http://x.org/x.png", "http://x.org/x.png is a URL"),
        ("file:///etc/passwd", "file:///etc/passwd is a URL"),
        ("", "the file name is empty"),
    ],
)
@pytest.mark.fault(40)
def test_case_40_csv_paths_that_lead_elsewhere(table, name, why):
    path = table(f"file,class\n1.png,a\n{name},b\n")
    assert refused(path) == f"bad line in {path}:3 - {why}; name a file below that folder"


@pytest.mark.fault(40)
def test_case_40_csv_links_that_lead_elsewhere(table, tmp_path, monkeypatch):
    root = tree(tmp_path / "data", ["4.png", "in/5.png"])
    (root / "inside.png").symlink_to("in/5.png")
    (root / "folder").symlink_to("in")
    (root / "outside.png").symlink_to(tmp_path / "1.png")
    (root / "above").symlink_to(tmp_path)
    (root / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    names = ["4.png", "inside.png", "outside.png", "above/2.png", "dangling.png", "folder/5.png"]
    path = root / "list.csv"
    rows = (f"{name},{number % 2}\n" for number, name in enumerate(names))
    path.write_text("".join(["file,class\n", *rows]))
    out = "link out of the folder of the list, to {}; --allow_outside_links follows it"
    bad = {
        4: f"(outside.png) - {out.format(tmp_path / '1.png')}",
        5: f"(above/2.png) - {out.format(tmp_path / '2.png')}",
        6: "(dangling.png) - dangling link; restore or remove it",
    }
    lines = "".join(f"\n  bad picture in {path}:{line} {why}" for line, why in bad.items())
    assert refused(path) == (
        f"bad pictures in {path} - 3 of 6 cannot be used; replace or remove them, or "
        f"--on_bad_file=skip --max_bad_fraction=0.5:{lines}"
    )
    (root / "dangling.png").unlink()
    (root / "dangling.png").symlink_to(tmp_path / "3.png")
    examples = source.read(path, rules=Rules(allow_outside_links=True))
    assert list(examples.names) == names
    assert examples.load(2, 30).shape == (30, 40, 3)

    found = unlabelled.find_pictures(path, ["0", "1"])
    for index, name in ((2, "1.png"), (3, "2.png"), (4, "3.png")):
        where = f"bad picture in {path}:{index + 2} ({names[index]})"
        with pytest.raises(DataError) as caught:
            found.load(index, 30)
        assert str(caught.value) == f"{where} - {out.format(tmp_path / name)}"
    assert found.load(5, 30).shape == (30, 40, 3)
    allowed = unlabelled.find_pictures(path, ["0", "1"], Rules(allow_outside_links=True))
    assert allowed.load(3, 30).shape == (30, 40, 3)

    monkeypatch.chdir(root)  # a list in the working folder has no folder in its path
    assert refused("list.csv").count(out.split("{")[0]) == 3


@pytest.mark.fault(40)
def test_case_40_csv_with_a_nul(table):
    path = table("file,class\n1.png,a\n2.png\0,b\n")
    assert refused(path) == f"bad line in {path}:3 - the line holds a NUL; correct it"


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("-1", "got '-1'"),
        ("1.5", "got '1.5'"),
        ("1e3", "got '1e3'"),
        ("nan", "got 'nan'"),
    ],
)
@pytest.mark.fault(41)
def test_case_41_csv_labels_that_are_no_class(table, label, why):
    path = table(f"file,class\n1.png,0\n2.png,1\n3.png,{label}\n")
    assert refused(path) == (
        f"bad line in {path}:4 - labels that are numbers must be whole and at least 0, {why}; "
        "correct it"
    )


@pytest.mark.fault(41)
def test_case_41_csv_label_empty(table):
    path = table("file,class\n1.png,a\n2.png,\n")
    assert refused(path) == f"bad line in {path}:3 - the label is empty; name a class"
    path = table("file,class\n1.png,\n2.png,a\n")
    assert refused(path) == f"bad line in {path}:2 - the label is empty; name a class"


@pytest.mark.parametrize("label", ["3", "-1", "0.5", "", "dog"])
@pytest.mark.fault(41)
def test_case_41_csv_labels_out_of_range(table, label):
    """Of a part that is scored, where the model says which classes there are."""
    path = table(f"file,class\n1.png,0\n2.png,{label}\n")
    assert refused(path, "test", class_names=["0", "1", "2"]) == (
        f"bad line in {path}:3 - label {label!r} is not one of the 3 classes 0, 1, 2; leave the "
        "picture out, or train a model on it"
    )


@pytest.mark.parametrize("label", ["2", "-1", "0.5", "", "dog"])
@pytest.mark.fault(41)
def test_case_41_csv_labels_of_an_array(tmp_path, label):
    path = arrays(tmp_path)
    os.remove(tmp_path / "x_labels.npy")
    table = tmp_path / "x_labels.csv"
    table.write_text(f"id,label\n1,0\n2,1\n3,{label}\n4,0\n")
    assert refused(path, "test", class_names=["0", "1"]) == (
        f"bad line in {table}:4 - label {label!r} is not one of the 2 classes 0, 1; leave the "
        "picture out, or train a model on it"
    )


@pytest.mark.fault(42)
def test_case_42_csv_lists_a_missing_file(table):
    path = table("file,class\n1.png,a\nsub/none.png,b\n3.png,b\n")
    bad = f"bad picture in {path}:3 (sub/none.png) - no such file; restore or remove it"
    assert refused(path) == (
        f"bad pictures in {path} - 1 of 3 cannot be used; replace or remove them, or "
        f"--on_bad_file=skip --max_bad_fraction=0.334:\n  {bad}"
    )
    examples = source.read(path, rules=Rules(on_bad_file="skip", max_bad_fraction=0.5))
    assert examples.names == ("1.png", "3.png")
    assert examples.skipped == (("sub/none.png", bad),)


# IDX


IDX_IMAGES = np.random.default_rng(0).integers(0, 256, [2, 30, 40], np.uint8)


MARK = "expected images, marked 00000803, got"


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (b"\0\0\x08\x04" + bytes(20), f"{MARK} 00000804"),
        (packed(IDX_IMAGES, kind=13), f"{MARK} 00000d03"),
        (packed(LABELS), f"{MARK} 00000801, the mark of labels: are the two files swapped?"),
        (
            packed(IDX_IMAGES, sizes=(3, 30, 40)),
            "expected 3600 bytes, more than a file of its size holds",
        ),
        (packed(IDX_IMAGES)[:-1], "expected 2400 bytes after the header, got 2399"),
        (packed(IDX_IMAGES)[:10], "expected a header of 16 bytes, got 10"),
    ],
)
@pytest.mark.fault(43)
def test_case_43_idx(tmp_path, images, why):
    fill(tmp_path, images=images)
    assert refused(tmp_path) == (
        f"bad IDX file in {tmp_path}/train-images-idx3-ubyte - {why}; fetch it again"
    )


@pytest.mark.fault(43)
def test_case_43_idx_gzip(tmp_path):
    whole = gzip.compress(packed(IDX_IMAGES))
    fill(tmp_path, images=whole[: len(whole) // 2])
    assert refused(tmp_path) == (
        f"bad IDX file in {tmp_path}/train-images-idx3-ubyte - unreadable (Compressed file ended "
        "before the end-of-stream marker was reached); fetch it again"
    )
    bomb = tmp_path / "bomb"
    bomb.mkdir()
    fill(bomb, images=gzip.compress(packed(IDX_IMAGES) + bytes(300_000_000), 1))
    said, growth = read_in_a_process(bomb)
    assert said == [
        f"bad IDX file in {bomb}/train-images-idx3-ubyte - expected 2400 bytes after the header, "
        "got more; fetch it again"
    ]
    assert growth < 100_000  # kB
