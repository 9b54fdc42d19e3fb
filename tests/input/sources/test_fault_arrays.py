"""Faults of arrays: their scale, their levels, and what is one picture."""

import numpy as np
import pytest

from hw2.errors import DataError
from hw2.input import source
from hw2.input.files.levels import Scale
from hw2.input.files.rules import Rules
from hw2.input.sources import unlabelled
from tests.input.faulty import refused

LABELS = np.arange(12) % 3


def floats(white=1.0):
    images = np.random.default_rng(0).random([12, 8, 8], np.float32)
    images[:, 0, 0] = 1
    return images * np.float32(white)


def save(folder, images, name="x"):
    path = folder / f"{name}.npy"
    np.save(path, images)
    np.save(folder / f"{name}_labels.npy", LABELS[: len(images)])
    return path


def pixels(examples):
    return np.stack([examples.load(index, 8) for index in range(len(examples))])


@pytest.mark.fault(77)
@pytest.mark.parametrize("highest", [np.nextafter(np.float32(1), np.float32(2)), 1.0009])
def test_a_value_just_above_one_does_not_change_the_scale(tmp_path, highest):
    images = floats()
    expected = pixels(source.read(save(tmp_path, images)))
    images[3, 0, 0] = highest
    examples = source.read(save(tmp_path, images, "y"))
    assert examples.scale == Scale("float", 1.0)
    np.testing.assert_array_equal(pixels(examples), expected)
    images[3, 5, 5] = -1e-7  # what a resize by splines leaves below 0
    assert source.read(save(tmp_path, images, "z")).scale == Scale("float", 1.0)


@pytest.mark.fault(77)
def test_values_on_neither_scale_are_refused_with_a_flag_that_works(tmp_path):
    images = floats(1.5)
    path = save(tmp_path, images)
    assert refused(path) == (
        f"bad array in {path} - its highest value is 1.5, which fits neither [0, 1] nor [0, 255]; "
        "give the value of white as --levels, such as --levels=1.5 or --levels=255"
    )
    assert pixels(source.read(path, rules=Rules(levels=1.5))).max() == 255
    images = floats()
    images[3] = 0
    images[3, 0, 0] = 200
    path = save(tmp_path, images)
    assert refused(path) == (
        f"bad array in {path} - image 3 has values in [0, 200], beyond 1, which is white; "
        "correct it, or give the value of white as --levels"
    )


@pytest.mark.fault(77)
@pytest.mark.parametrize(
    ("known", "white", "why"),
    [
        (1.0, 255, r"image 0 has values in \[.*, 255\], beyond 1, which is white; correct it, or"),
        (255.0, 1, "its highest value is 1, where white is 255 in the training data; give "),
    ],
)
def test_a_test_set_on_another_scale_than_training_is_refused(tmp_path, known, white, why):
    path = save(tmp_path, floats(white))
    rules = Rules(scale=Scale("float", known))
    with pytest.raises(DataError, match=why):
        source.read(path, "test", rules)
    if known == 1:  # one image at a time, as for any other fault of an image
        found = unlabelled.find_pictures(path, ["0", "1", "2"], rules)
        with pytest.raises(DataError, match=why):
            found.load(0, 8)
    else:
        with pytest.raises(DataError, match=why):
            unlabelled.find_pictures(path, ["0", "1", "2"], rules)
    examples = source.read(path, "test", Rules(scale=Scale("float", known), levels=white))
    assert pixels(examples).max() == 255


@pytest.mark.fault(78)
def test_sixteen_bits_of_which_ten_are_used(tmp_path):
    images = np.random.default_rng(0).integers(0, 1024, [12, 8, 8], np.uint16)
    images[0, 0, 0] = 1023
    path = save(tmp_path, images)
    assert refused(path) == (
        f"bad array in {path} - the highest uint16 value is 1023, of 65535, so that its pictures "
        "would have 4 of 256 levels; give --levels=1023 if that is white, or --levels=65535 if "
        "the pictures are so dark"
    )
    examples = source.read(path, rules=Rules(levels=1023))
    np.testing.assert_array_equal(pixels(examples)[..., 0], np.rint(images * (255 / 1023)))
    assert examples.scale == Scale("uint16", 1023)
    with pytest.raises(DataError, match="highest uint16 value is 1023, of 65535"):
        unlabelled.find_pictures(path, ["0", "1", "2"])
    found = unlabelled.find_pictures(path, ["0", "1", "2"], Rules(scale=examples.scale))
    np.testing.assert_array_equal(found.load(3, 8), examples.load(3, 8))
    assert pixels(source.read(path, rules=Rules(levels=65535))).max() == 3


@pytest.mark.fault(78)
@pytest.mark.parametrize(
    ("dtype", "highest", "note"),
    [
        (np.uint16, 16383, "the highest uint16 value is 16383, of 65535; --levels=16383 makes "),
        (np.uint8, 15, "the highest uint8 value is 15, of 255; --levels=15 makes that white"),
    ],
)
def test_fewer_bits_than_the_dtype_has_are_told_of(tmp_path, dtype, highest, note):
    images = np.random.default_rng(0).integers(0, highest + 1, [12, 8, 8], dtype)
    images[0, 0, 0] = highest
    path = save(tmp_path, images)
    assert source.read(path).notes[0].startswith(note)
    assert pixels(source.read(path, rules=Rules(levels=highest))).max() == 255


@pytest.mark.fault(79)
@pytest.mark.parametrize("kind", ["floats", "uint8", "archive"])
def test_images_of_nearly_one_level_are_counted_and_named(tmp_path, kind):
    images = floats(255)
    images[2], images[7] = 3, 250
    images[7, 0, :3] = 240  # some noise
    if kind != "floats":
        images = images.astype(np.uint8)
    path = save(tmp_path, images)
    if kind == "archive":
        path = tmp_path / "x.npz"
        np.savez(path, images=images, labels=LABELS)
    assert source.read(path).notes == (
        "nearly all of one level, as behind a lens cap or on a wrong scale, 2 of 12: 00002, 00007",
    )


@pytest.mark.fault(88)
@pytest.mark.parametrize("channels", [3, 1, 4])
def test_one_picture_without_an_axis_for_pictures(tmp_path, channels):
    path = tmp_path / "one.npy"
    np.save(path, np.zeros([32, 32, channels], np.uint8))
    with pytest.raises(DataError) as caught:
        unlabelled.find_pictures(path, ["a", "b"])
    assert str(caught.value) == (
        f"bad array in {path} - got uint8 [32, 32, {channels}], which is one picture of {channels} "
        f"channels, or 32 grey ones of 32x{channels}; save it as [1, 32, 32, {channels}], or as "
        f"[32, 32, {channels}, 1]"
    )


@pytest.mark.fault(88)
def test_what_the_message_about_one_picture_asks_for(tmp_path):
    path = tmp_path / "one.npy"
    for shape, count in (([1, 32, 32, 3], 1), ([32, 32, 3, 1], 32), ([3, 32, 32], 3)):
        np.save(path, np.zeros(shape, np.uint8))
        found = unlabelled.find_pictures(path, ["a", "b"])
        assert len(found) == count
    assert found.notes == (
        "read as 3 grey pictures of 32x32; one picture of 3 channels is [1, 32, 32, 3]",
    )


@pytest.mark.fault(88)
@pytest.mark.parametrize(
    ("shape", "rules", "why"),
    [
        ([2, 8, 9], {"min_size": 9}, "too small (9x8, below 9; --min_size)"),
        ([2, 8, 9], {"max_pixels": 71}, "too many pixels (72 > limit 71; --max_pixels)"),
        ([2, 2, 400], {}, "too thin (400x2, over 100:1)"),
    ],
)
def test_the_limits_of_files_hold_for_arrays(tmp_path, shape, rules, why):
    path = save(tmp_path, np.zeros(shape, np.uint8))
    for read in (source.read, lambda p, rules: unlabelled.find_pictures(p, ["a", "b"], rules)):
        with pytest.raises(DataError) as caught:
            read(path, rules=Rules(**rules))
        assert why in str(caught.value)


@pytest.mark.fault(100)
def test_labels_stored_as_objects(tmp_path):
    path = save(tmp_path, floats())
    np.save(tmp_path / "x_labels.npy", np.array(list("abc") * 4, object))
    assert refused(path) == (
        f"bad array in {tmp_path}/x_labels.npy - it holds pickled objects, which may run code; "
        "save labels by numpy.save(PATH, labels.astype(str)), images as numbers"
    )
    np.save(
        tmp_path / "x_labels.npy", np.load(tmp_path / "x_labels.npy", allow_pickle=True).astype(str)
    )
    assert source.read(path).class_names == ("a", "b", "c")


@pytest.mark.fault(79)
def test_scan_reads_arrays_too(tmp_path, scan):
    images = floats(255).astype(np.uint8)
    images[2] = 3
    path = save(tmp_path, images)
    code, out, err = scan(path)
    assert (code, err) == (0, "")
    assert "12 images in 3 classes" in out.splitlines()
    assert "note: nearly all of one level, as behind a lens cap or on a wrong scale, 1 of 12" in out
    np.save(path, images.astype(np.uint16))
    code, _, err = scan(path)
    assert code == 3
    assert "the highest uint16 value is 255, of 65535" in err
