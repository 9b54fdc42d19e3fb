import gzip
import shutil

import numpy as np
import pytest

from hw2.errors import DataError
from hw2.input.sources import builtin


def test_digits():
    examples = builtin.load("digits", "train")
    assert len(examples) == 1797
    assert examples.class_names == tuple("0123456789")
    assert examples.channels == 1
    assert examples.labels[:4].tolist() == [0, 1, 2, 3]
    picture = examples.load(0, 8)
    assert picture.shape == (8, 8, 1)
    # The first scan begins 0 0 5 13 9 1 0 0, of 16.
    assert picture[0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]


def test_digits_have_no_test_part():
    with pytest.raises(DataError) as caught:
        builtin.load("digits", "test")
    assert str(caught.value) == (
        "no test part in digits - it has one part, train; set a part of it aside for testing"
    )


@pytest.mark.parametrize(("part", "count"), [("train", 60000), ("test", 10000)])
def test_fashion_mnist(fashion, part, count):
    examples = builtin.load("fashion_mnist", part)
    assert np.bincount(examples.labels).tolist() == [count // 10] * 10
    assert examples.class_names[0] == "T-shirt/top"
    assert examples.load(0, 28).shape == (28, 28, 1)


def test_a_changed_copy_is_refused(fashion, tmp_path, monkeypatch):
    for path in fashion.glob("t10k*.gz"):
        shutil.copy(path, tmp_path)
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    labels = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(labels[:-1] + bytes([labels[-1] ^ 1])))
    monkeypatch.setattr(builtin, "FASHION_FOLDER", str(tmp_path))
    with pytest.raises(DataError, match=r"- SHA-256 \w{12}\.\.\. of the test part is not the orig"):
        builtin.load("fashion_mnist", "test")


def fetched(monkeypatch, tmp_path, load_data):
    import tensorflow as tf

    monkeypatch.setattr(builtin, "FASHION_FOLDER", str(tmp_path / "none"))
    monkeypatch.setattr(tf.keras.datasets.fashion_mnist, "load_data", load_data)


def test_without_the_package_keras_fetches_it(fashion, tmp_path, monkeypatch):
    parts = tuple(builtin.idx.read_part(fashion, part) for part in ("train", "test"))
    fetched(monkeypatch, tmp_path, lambda: parts)
    assert len(builtin.load("fashion_mnist", "test")) == 10000


def test_without_package_and_network(tmp_path, monkeypatch):
    def offline():
        raise Exception("URL fetch failure")

    fetched(monkeypatch, tmp_path, offline)
    with pytest.raises(DataError) as caught:
        builtin.load("fashion_mnist", "train")
    assert str(caught.value) == (
        f"no fashion_mnist in {tmp_path}/none - and fetching it failed; "
        "apt-get install dataset-fashion-mnist"
    )
