import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from hw2.input import source
from hw2.input.files import decode
from hw2.input.files.rules import Rules
from tests.input.faulty import refused

IMAGES = np.random.default_rng(0).integers(0, 256, [6, 5, 7, 3], np.uint8)
LABELS = np.array([2, 0, 2, 0, 2, 2])


def save(folder, images=IMAGES, labels=LABELS, name="x"):
    np.save(folder / f"{name}.npy", images)
    np.save(folder / f"{name}_labels.npy", labels)
    return folder / f"{name}.npy"


# Worked examples.


def test_images_and_labels_come_back(tmp_path):
    examples = source.read(save(tmp_path))
    assert examples.names == ("00000", "00001", "00002", "00003", "00004", "00005")
    assert examples.class_names == ("0", "2")  # those that are there, by name
    assert examples.labels.tolist() == [1, 0, 1, 0, 1, 1]
    assert (examples.channels, examples.notes) == (3, ())
    for index in range(6):
        np.testing.assert_array_equal(examples.load(index, 5), IMAGES[index])


def test_words_are_labels_too(tmp_path):
    labels = np.array(["cat", "ox", "cat", "ant", "ox", "ox"])
    examples = source.read(save(tmp_path, labels=labels))
    assert examples.class_names == ("ant", "cat", "ox")
    assert examples.labels.tolist() == [1, 2, 1, 0, 2, 2]
    examples = source.read(save(tmp_path), class_names=["2", "1", "0"])
    assert examples.labels.tolist() == [0, 2, 0, 2, 0, 0]


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_channels_and_order(tmp_path, channels, order):
    shape = (6, 5, 7, *channels)
    images = np.asarray(np.random.default_rng(1).integers(0, 256, shape, np.uint8), order=order)
    examples = source.read(save(tmp_path, images))
    assert examples.channels == (channels or (1,))[0]
    np.testing.assert_array_equal(examples.load(4, 5), images[4].reshape(5, 7, -1))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
@pytest.mark.parametrize("high", [1, 255])
def test_floats_are_levels_or_parts_of_one(tmp_path, dtype, high):
    levels = np.arange(6 * 3 * 3).reshape(6, 3, 3) * 4
    levels[0, 0, 0] = 255
    examples = source.read(save(tmp_path, (levels * (high / 255)).astype(dtype)))
    for index in range(6):
        np.testing.assert_array_equal(examples.load(index, 3)[..., 0], levels[index])


def test_sixteen_bits_keep_the_high_byte(tmp_path):
    images = np.random.default_rng(1).integers(0, 2**16, [6, 5, 7], np.uint16)
    for dtype in ("<u2", ">u2"):
        examples = source.read(save(tmp_path, images.astype(dtype)))
        np.testing.assert_array_equal(examples.load(3, 5)[..., 0], images[3] // 256)


def test_the_file_stays_on_disk(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, [40, 500, 500], np.uint8)  # 10 MB
    path = save(tmp_path, images, np.arange(40) % 2)
    tracemalloc.start()
    examples = source.read(path)
    examples.load(7, 500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def test_pictures_as_files(tmp_path):
    examples = source.read(save(tmp_path))
    found = decode.picture_in(examples.content(3), "3", 5)
    np.testing.assert_array_equal(found, IMAGES[3])


# Where images and labels are found.


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train_images.npy", "train_labels.npy"),
        ("x_train.npy", "y_train.npy"),
        ("Train-Images.npy", "Train-labels.npy"),
        ("train.npy", "train_labels.npy"),
        ("images.npy", "labels.npy"),
        ("data.npy", "labels.npy"),
    ],
)
def test_names_of_a_folder(tmp_path, images, labels):
    np.save(tmp_path / images, IMAGES)
    np.save(tmp_path / labels, LABELS)
    assert len(source.read(tmp_path)) == 6
    assert len(source.read(f"{tmp_path / images},{tmp_path / labels}")) == 6


def test_parts_of_a_folder(tmp_path):
    for part, count in {"train": 6, "val": 4, "test": 3}.items():
        np.save(tmp_path / f"{part}_images.npy", IMAGES[:count])
        np.save(tmp_path / f"{part}_labels.npy", LABELS[:count])
    found = {part: len(source.read(tmp_path, part)) for part in source.PARTS}
    assert found == {"train": 6, "validation": 4, "test": 3}
    (tmp_path / "val_images.npy").unlink()
    assert len(source.read(tmp_path, "validation")) == 3
    (tmp_path / "test_images.npy").unlink()
    assert refused(tmp_path, "test").startswith(
        f"no test images in {tmp_path} - neither .npy nor .npz; "
    )


def test_labels_by_csv_in_any_order(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    (tmp_path / "x.csv").write_text("id,label\n3,7\n1,9\n2,9\n6,9\n5,7\n4,7\n")
    examples = source.read(tmp_path / "x.npy")
    assert [examples.class_names[label] for label in examples.labels] == list("997779")
    given = tmp_path / "other.csv"
    given.write_text("label\n1\n2\n1\n2\n1\n2\n")
    assert source.read(f"{tmp_path}/x.npy,{given}").class_names == ("1", "2")


def test_images_without_labels(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    assert refused(tmp_path / "x.npy") == (
        f"no labels for {tmp_path}/x.npy - neither in it nor beside it; add "
        f"{tmp_path}/x_labels.csv or .npy, or give IMAGES,LABELS"
    )
    assert refused(f"{tmp_path}/x.npy,{tmp_path}/none.csv").startswith(
        f"no data in {tmp_path}/none.csv - no such file; "
    )


# .npz


@pytest.mark.parametrize("pack", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("arr_0", "arr_1")])
def test_an_archive_of_both(tmp_path, pack, names):
    pack(tmp_path / "x.npz", **dict(zip(names, (IMAGES, LABELS), strict=True)))
    examples = source.read(tmp_path / "x.npz")
    assert examples.labels.tolist() == [1, 0, 1, 0, 1, 1]
    np.testing.assert_array_equal(examples.load(2, 5), IMAGES[2])


def test_an_archive_of_all_parts(tmp_path):
    parts = {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:3], "y_test": LABELS[:3]}
    np.savez(tmp_path / "x.npz", **parts)
    assert len(source.read(tmp_path / "x.npz", "train")) == 6
    assert len(source.read(tmp_path / "x.npz", "test")) == 3
    np.savez(tmp_path / "y.npz", pixels=IMAGES)
    assert refused(tmp_path / "y.npz") == (
        f"bad array in {tmp_path}/y.npz - no train images among ['pixels']; call them images, x"
    )


def test_a_damaged_archive(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, images=IMAGES, labels=LABELS)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refused(path) == (
        f"bad array in {path} - not a whole archive (File is not a zip file); fetch it again"
    )
    at = whole.index(bytes(IMAGES[2].tobytes()[:40]))
    path.write_bytes(whole[:at] + b"~" + whole[at + 1 :])
    assert refused(path) == (
        f"bad array in {path} - not a whole archive (Bad CRC-32 for file 'images.npy'); fetch it "
        "again"
    )


def test_a_member_that_claims_to_be_large(tmp_path):
    path = tmp_path / "x.npz"
    header = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (10**6, 1000, 1000)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header.getvalue() + bytes(1000))
    assert refused(path) == (
        f"bad array in {path} - truncated: its header says 1000000000000 bytes of values, there "
        "are 1000; fetch it again"
    )


# Labels.


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (
            np.zeros(6),
            "got float64 [6]; labels are [N] integers or words; save labels.astype(int)",
        ),
        (
            np.zeros([6, 2], int),
            "got int64 [6, 2]; labels are [N] integers or words; of one-hot rows take "
            "labels.argmax(1)",
        ),
        (np.array([0, 1, 0, -3, 0, 1]), "label -3 of image 3 is negative; correct it"),
        (np.zeros(5, int), "5 labels for 6 images; take both from one data set"),
    ],
)
def test_labels_that_are_none(tmp_path, labels, why):
    path = save(tmp_path, labels=labels)
    assert refused(path) == f"bad labels in {tmp_path}/x_labels.npy - {why}"


def test_one_class(tmp_path):
    path = save(tmp_path, labels=np.full([6, 1], 4))
    assert refused(path) == (
        f"no classes in {tmp_path}/x_labels.npy - one class only, 4; two are needed at least"
    )


def test_a_label_that_the_model_does_not_know(tmp_path):
    path = save(tmp_path)
    assert refused(path, "test", class_names=["0", "1"]) == (
        f"bad labels in {tmp_path}/x_labels.npy - label '2' of image 0 is not one of the 2 "
        "classes; leave the picture out, or train a model on it"
    )


def test_the_same_picture_in_two_classes(tmp_path):
    images = IMAGES.copy()
    images[3] = images[2]
    path = save(tmp_path, images)
    assert refused(path) == (
        f"conflicting labels in {path} - 2 of 6 pictures lie in several classes, over "
        "--max_bad_fraction=0.01: 00002 = 00003; leave each in one class"
    )
    examples = source.read(path, rules=Rules(max_bad_fraction=0.5))
    assert examples.notes == ("conflicting labels of 2 pictures: 00002 = 00003",)
    examples = source.read(path, rules=Rules(skip_conflicts=True))
    assert examples.notes == ("skipped 2 pictures that lie in several classes: 00002 = 00003",)
    assert examples.names == ("00000", "00001", "00004", "00005")
    assert examples.labels.tolist() == [1, 0, 1, 1]
    np.testing.assert_array_equal(examples.load(2, 5), images[4])


@pytest.mark.fault(177)
def test_bad_images_are_skipped_if_that_is_asked_for(tmp_path):
    images = (IMAGES / 255).astype(np.float32)
    images[3, 0, 0] = np.nan
    path = save(tmp_path, images)
    assert "image 3 has NaN or infinite values" in refused(path)
    assert "too many bad pictures" in refused(path, on_bad_file="skip", max_bad_fraction=0.1)
    examples = source.read(path, rules=Rules(on_bad_file="skip", max_bad_fraction=0.2))
    assert examples.names == ("00000", "00001", "00002", "00004", "00005")
    assert [name for name, _ in examples.skipped] == ["00003"]
    assert examples.notes[0].startswith("skipped 1 bad of 6, the first: bad array in ")


def test_labels_of_the_same_spelling_go_first(tmp_path):
    np.save(tmp_path / "X.npy", IMAGES)
    np.save(tmp_path / "x_labels.npy", LABELS)
    assert source.read(tmp_path / "X.npy").class_names == ("0", "2")
    np.save(tmp_path / "X_labels.npy", LABELS + 5)
    assert source.read(tmp_path / "X.npy").class_names == ("5", "7")
