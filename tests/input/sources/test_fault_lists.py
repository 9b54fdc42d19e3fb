"""Faults of lists: spaces, spellings, labels that look like numbers, and encodings."""

import unicodedata

import numpy as np
import pytest

from hw2.input import source
from hw2.input.sources import shard_writer, table
from tests.input.faulty import refused, tree

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def write(tmp_path):
    """Writes a list of the pictures p/1.png to p/4.png, as text or bytes."""
    tree(tmp_path, [f"p/{n}.png" for n in range(1, 5)])

    def call(text, name="list.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


@pytest.mark.fault(84)
@pytest.mark.parametrize(
    "text",
    [
        "file,class\np/1.png, cat\np/2.png,cat\np/3.png,dog\n",
        "file , class\n p/1.png,cat\np/2.png ,\tcat\np/3.png,dog\u00a0\n",
        'file,class\np/1.png," cat "\np/2.png,cat\u3000\np/3.png,dog\n',
    ],
)
def test_spaces_round_fields_go(write, text):
    examples = source.read(write(text))
    assert examples.class_names == ("cat", "dog")
    assert examples.names == ("p/1.png", "p/2.png", "p/3.png")
    assert examples.notes == ()


@pytest.mark.fault(84)
@pytest.mark.parametrize(
    ("one", "other", "note"),
    [
        ("cat", "Cat", "classes Cat (line 4) and cat (line 2) differ in case only"),
        (
            "red cat",
            "red\u00a0cat",
            "classes 'red cat' (line 2) and 'red\\xa0cat' (line 4) differ in case, kinds of space "
            "or of letter forms only",
        ),
        (
            "red cat",
            "red\u200b cat",
            "classes 'red cat' (line 2) and 'red\\u200b cat' (line 4) differ in case, kinds of "
            "space or of letter forms only",
        ),
    ],
)
def test_labels_that_nearly_agree_are_told_of_with_their_lines(write, tmp_path, one, other, note):
    path = write(f"file,class\np/1.png,{one}\np/2.png,dog\np/3.png,{other}\n")
    assert source.read(path).notes == (note,)
    images = np.random.default_rng(0).integers(0, 256, [3, 8, 8], np.uint8)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "x_labels.npy", np.array([one, "dog", other]))
    in_array = note.replace("line 2", "image 0").replace("line 4", "image 2")
    assert source.read(tmp_path / "x.npy").notes == (in_array,)
    folders = tree(tmp_path / "folders", [f"{name}/1.png" for name in (one, "dog", other)])
    in_folder = note.replace(" (line 2)", "").replace(" (line 4)", "")
    assert source.read(folders).notes == (in_folder,)


@pytest.mark.fault(84)
def test_a_label_that_nearly_is_a_class_of_the_model(write):
    path = write("file,class\np/1.png,cat\np/2.png,Dog\n")
    assert refused(path, "test", ["cat", "dog"]) == (
        f"bad line in {path}:3 - label 'Dog' is not one of the 2 classes cat, dog ('dog' differs "
        "from it in case, kinds of space or of letter forms only); leave the picture out, or "
        "train a model on it"
    )


@pytest.mark.fault(85)
def test_one_class_in_two_forms_of_unicode(write, tmp_path):
    path = write(f"file,class\np/1.png,{NFC}\np/2.png,{NFD}\np/3.png,dog\n")
    examples = source.read(path)
    assert len(examples.class_names) == 2
    assert examples.labels[0] == examples.labels[1]
    folders = tree(tmp_path / "mac", [f"{NFD}/1.png", "dog/2.png"])
    for known in ([NFC, "dog"], [NFD, "dog"]):
        read = source.read(folders, "test", class_names=known).with_classes(known)
        assert sorted(read.labels.tolist()) == [0, 1]
        assert read.class_names == tuple(known)
        assert source.read(path, "test", class_names=known).labels.tolist() == [0, 0, 1]


@pytest.mark.fault(85)
def test_words_of_arrays_and_records_in_two_forms(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, [3, 8, 8], np.uint8))
    np.save(tmp_path / "x_labels.npy", np.array([NFC, "dog", NFD]))
    examples = source.read(tmp_path / "x.npy")
    assert len(examples.class_names) == 2
    assert examples.labels[0] == examples.labels[2]
    folders = tree(tmp_path / "mac", [f"{NFD}/1.png", "dog/2.png"])
    shard_writer.write(source.read(folders), tmp_path / "shards")
    known = [NFC, "dog"]
    assert source.read(tmp_path / "shards", "test", class_names=known).labels.tolist() == [0, 1]


@pytest.mark.fault(85)
def test_a_list_and_the_files_it_names_in_two_forms(write, tmp_path):
    tree(tmp_path, [f"{NFD}/\u00fc.png", f"p/{unicodedata.normalize('NFD', 'ü')}.png"])
    path = write(f"file,class\n{NFC}/{unicodedata.normalize('NFD', 'ü')}.png,a\np/\u00fc.png,b\n")
    assert source.read(path).labels.tolist() == [0, 1]


@pytest.mark.fault(86)
def test_labels_of_a_list_are_text(write, tmp_path):
    path = write("file,class\np/1.png,001\np/2.png,002\n")
    examples = source.read(path)
    assert examples.class_names == ("001", "002")
    folders = tree(tmp_path / "folders", ["001/a.png", "002/b.png"])
    assert source.read(folders, "test").with_classes(examples.class_names).labels.tolist() == [0, 1]


@pytest.mark.fault(86)
@pytest.mark.parametrize("labels", [("2024", "3d"), ("3d", "2024"), ("12", "12a"), ("0x1f", "7")])
def test_a_label_may_begin_with_a_number_in_any_order(write, labels):
    path = write(f"file,class\np/1.png,{labels[0]}\np/2.png,{labels[1]}\n")
    assert source.read(path).class_names == tuple(sorted(labels))


@pytest.mark.fault(86)
def test_models_of_lists_from_before_labels_were_text(write, tmp_path):
    path = write("file,class\np/1.png,001\np/2.png,002\n")
    assert source.read(path, "test", class_names=["1", "2"]).labels.tolist() == [0, 1]
    folders = tree(tmp_path / "folders", ["001/a.png", "002/b.png"])
    assert source.read(folders, "test").with_classes(["1", "2"]).labels.tolist() == [0, 1]
    assert table.listing(write("file,class\np/1.png,10\np/2.png,9\n")).class_names == ("9", "10")


@pytest.mark.fault(100)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_list_in_utf_16(write, encoding):
    path = write("file,class\np/1.png,a\np/2.png,b\n".encode(encoding))
    assert refused(path) == (
        f"bad line in {path}:1 - the text is UTF-16 or UTF-32, and not UTF-8; save it as UTF-8"
    )


@pytest.mark.fault(100)
@pytest.mark.parametrize("header", ["class,file", "label,image", "Species , Path"])
def test_the_columns_of_a_list_in_the_other_order(write, header):
    path = write(f"{header}\na,p/1.png\nb,p/2.png\n")
    examples = source.read(path)
    assert examples.names == ("p/1.png", "p/2.png")
    assert examples.class_names == ("a", "b")
    assert table.to_classify(path, ["b", "a"]).labels.tolist() == [1, 0]
