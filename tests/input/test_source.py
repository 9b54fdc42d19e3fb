import os

import pytest
from PIL import Image
from test_idx import fill

from hw2.errors import DataError
from hw2.input import source


def class_folders(root):
    for name in ("a", "b"):
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4), {"a": "red", "b": "blue"}[name]).save(root / name / "x.png")
    return root


def test_a_name_and_a_folder_of_that_name(tmp_path, monkeypatch):
    class_folders(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert len(source.read("digits")) == 1797
    assert len(source.read("./digits")) == 2
    assert len(source.read(tmp_path / "digits")) == 2


def test_folders_of_either_kind(tmp_path):
    assert source.read(class_folders(tmp_path / "folders")).class_names == ("a", "b")
    assert len(source.read(tmp_path / "folders", "test")) == 2  # they are one part
    (tmp_path / "idx").mkdir()
    assert len(source.read(fill(tmp_path / "idx", part="test"), "test")) == 2
    with pytest.raises(DataError, match="no train-images-idx3-ubyte in"):
        source.read(tmp_path / "idx", "train")


def test_the_name_brings_class_names(fashion):
    assert source.read(fashion, "test").class_names[9] == "9"
    assert source.read("fashion_mnist", "test").class_names[9] == "Ankle boot"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("none", "no such folder"),
        ("file", "a file of another kind"),
        ("fifo", "neither a file nor a folder"),
        ("labels.csv", "labels without images"),
    ],
)
def test_anything_else(tmp_path, path, why):
    (tmp_path / "file").write_text("")
    (tmp_path / "labels.csv").write_text("label\n1\n")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(DataError) as caught:
        source.read(tmp_path / path)
    more = "; a list of pictures has the header `file,class`, and names with their suffix"
    assert str(caught.value) == (
        f"no data in {tmp_path / path} - {why}; give one of digits, fashion_mnist, a folder of "
        "class folders, a folder with train/ and val/ or test/ in it, a .csv of file and class, "
        "an .npy or .npz of images with labels beside it, a folder with train-images-idx3-ubyte "
        "and the other files of MNIST's format, or TFRecord shards"
        f"{more if path == 'labels.csv' else ''}"
    )


def test_a_part_that_is_none():
    with pytest.raises(ValueError, match="part must be train, validation or test, got 'val'"):
        source.read("digits", "val")
