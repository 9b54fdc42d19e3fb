import re

import numpy as np
import pytest
from test_idx import fill, packed

from hw2.errors import DataError
from hw2.input.sources import arrays


def test_worked_example():
    images = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)
    examples = arrays.examples(images, np.array([1, 0]), ["a", "b"])
    assert examples.names == ("00000", "00001")
    assert examples.labels.dtype == np.int32
    assert examples.class_names == ("a", "b")
    assert examples.channels == 3
    np.testing.assert_array_equal(examples.load(1, 4), images[1])
    assert examples.load(1, 2).shape == (2, 3, 3)
    assert examples.load(1, 8).shape == (8, 12, 3)


def test_what_is_no_image_array():
    words = "images must be uint8 [N, H, W, C] and not empty, got "
    for images, got in [
        (np.zeros([2, 4, 4, 1]), "float64 [2, 4, 4, 1]."),
        (np.zeros([2, 4, 4], np.uint8), "uint8 [2, 4, 4]."),
        (np.zeros([2, 0, 4, 1], np.uint8), "uint8 [2, 0, 4, 1]."),
    ]:
        with pytest.raises(ValueError, match=re.escape(words + got)):
            arrays.examples(images, np.zeros(2, int), ["a"])


def test_idx_files(tmp_path):
    examples = arrays.read_idx(fill(tmp_path), "train")
    assert examples.class_names == tuple("0123456789")
    assert examples.labels.tolist() == [7, 3]
    assert examples.load(1, 3).shape == (3, 4, 1)


def test_more_classes_than_ten(tmp_path):
    fill(tmp_path, labels=packed(np.uint8([7, 46])))
    assert len(arrays.read_idx(tmp_path, "train").class_names) == 47
    with pytest.raises(DataError, match="- label 46, but 2 classes; name every class"):
        arrays.read_idx(tmp_path, "train", ["a", "b"])
