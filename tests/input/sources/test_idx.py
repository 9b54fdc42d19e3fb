import gzip
import resource
import struct

import numpy as np
import pytest

from hw2.errors import DataError
from hw2.input.sources import idx

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.uint8([7, 3])


def packed(array, *, kind=8, dimensions=None, sizes=None):
    """An IDX file by the book: two zeros, the type, the number of dimensions, the sizes."""
    sizes = array.shape if sizes is None else sizes
    start = struct.pack(">HBB", 0, kind, array.ndim if dimensions is None else dimensions)
    return start + struct.pack(f">{len(sizes)}I", *sizes) + array.tobytes()


def fill(folder, *, part="train", images=None, labels=None, suffix="", squeeze=lambda data: data):
    images_name, labels_name = idx.FILES[part]
    for name, content in (
        (images_name, packed(IMAGES) if images is None else images),
        (labels_name, packed(LABELS) if labels is None else labels),
    ):
        (folder / f"{name}{suffix}").write_bytes(squeeze(content))
    return folder


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(
    ("suffix", "squeeze"), [("", bytes), (".gz", gzip.compress), ("", gzip.compress)]
)
def test_worked_example(tmp_path, part, suffix, squeeze):
    images, labels = idx.read_part(fill(tmp_path, part=part, suffix=suffix, squeeze=squeeze), part)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_real_files(fashion):
    images, labels = idx.read_part(fashion, "test")
    assert images.shape == (10000, 28, 28)
    assert np.bincount(labels).tolist() == [1000] * 10


def test_is_in(tmp_path):
    assert not idx.is_in(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").touch()
    assert idx.is_in(tmp_path)


def refusal(folder):
    with pytest.raises(DataError) as caught:
        idx.read_part(folder, "train")
    return str(caught.value).replace(str(folder), "ROOT")


def of_images(why):
    return f"bad IDX file in ROOT/train-images-idx3-ubyte - {why}; fetch it again"


@pytest.mark.parametrize(
    ("images", "why"),
    [
        (packed(IMAGES)[:-1], "expected 24 bytes after the header, got 23"),
        (packed(IMAGES) + b"\0", "expected 24 bytes after the header, got more"),
        (packed(IMAGES)[:9], "expected a header of 16 bytes, got 9"),
        (b"", "expected images, marked 00000803, got "),
        (b"hello world", "expected images, marked 00000803, got 68656c6c"),
        (packed(IMAGES, kind=13), "expected images, marked 00000803, got 00000d03"),
        (
            packed(LABELS),
            "expected images, marked 00000803, got 00000801, the mark of labels: are the two "
            "files swapped?",
        ),
        (
            packed(IMAGES, sizes=(0, 3, 4)),
            "expected at least one of everything, got sizes [0, 3, 4]",
        ),
        (
            packed(IMAGES, sizes=(2**32 - 1,) * 3),
            f"expected {(2**32 - 1) ** 3} bytes, more than a file of its size holds",
        ),
    ],
)
def test_bad_images(tmp_path, images, why):
    assert refusal(fill(tmp_path, images=images)) == of_images(why)


def test_swapped_files(tmp_path):
    fill(tmp_path, images=packed(LABELS), labels=packed(IMAGES))
    assert "are the two files swapped?" in refusal(tmp_path)


def test_counts_that_differ(tmp_path):
    assert refusal(fill(tmp_path, labels=packed(np.uint8([1, 2, 3])))) == (
        "bad labels in ROOT/train-labels-idx1-ubyte - 3 labels for 2 images; "
        "take both from one data set"
    )


def test_a_missing_file(tmp_path):
    fill(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert refusal(tmp_path) == (
        "no train-labels-idx1-ubyte in ROOT - not there, nor with .gz; add it"
    )


def test_damaged_gzip(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, [20, 10, 10], np.uint8)
    whole = gzip.compress(packed(noise))
    fill(tmp_path, images=whole[: len(whole) // 2])
    assert "- unreadable (Compressed file ended before the end-of-stream" in refusal(tmp_path)
    fill(tmp_path, images=whole[:-8] + bytes(8))
    assert "- unreadable (CRC check failed" in refusal(tmp_path)
    fill(tmp_path, images=whole[:10] + b"\xff" * 30)
    assert "- unreadable (Error -3 while decompressing data" in refusal(tmp_path)


def test_a_gzip_bomb_stays_small(tmp_path):
    bomb = gzip.compress(packed(IMAGES) + bytes(300_000_000), 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fill(tmp_path, images=bomb)
    assert refusal(tmp_path) == of_images("expected 24 bytes after the header, got more")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes
