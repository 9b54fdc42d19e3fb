"""Pictures to classify: what is found where, in which order, and what is said of bad ones."""

import shutil

import numpy as np
import pytest
from PIL import Image

from hw2.errors import DataError
from hw2.input.files.rules import Rules
from hw2.input.sources import unlabelled as pictures

CLASSES = ["cat", "dog"]


def save(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full([6, 8, 3], level, np.uint8)).save(path)


def test_a_folder_is_read_at_any_depth_in_order_of_paths(tmp_path):
    for name in ("b.png", "a/z.png", "dog/2/x.png", "dog/10.png", "cat/1.png", "a.png"):
        save(tmp_path / name)
    for name in (".hidden/x.png", "Thumbs.db", "dog/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = pictures.find_pictures(tmp_path, CLASSES)
    names = ["a.png", "a/z.png", "b.png", "cat/1.png", "dog/10.png", "dog/2/x.png"]
    assert found.names == names
    assert found.labels.tolist() == [-1, -1, -1, 0, 1, 1]
    assert found.notes == (
        "ignored 1 .txt",
        "3 of 6 pictures have no label: a - no such class in the model",
    )
    assert found.load(0, 4).shape == (4, 5, 3)


def test_links_are_followed_within_the_folder_only(tmp_path):
    save(tmp_path / "data" / "a.png")
    save(tmp_path / "other" / "b.png")
    (tmp_path / "data" / "again.png").symlink_to("a.png")
    (tmp_path / "data" / "dangling.png").symlink_to("nowhere.png")
    (tmp_path / "data" / "out.png").symlink_to(tmp_path / "other" / "b.png")
    found = pictures.find_pictures(tmp_path / "data", CLASSES)
    assert found.names == ["a.png", "dangling.png", "out.png"]
    with pytest.raises(DataError, match=r"dangling.png - dangling link; restore or remove it"):
        found.load(1, 4)
    with pytest.raises(DataError, match=r"bad picture in .*out.png - link out of the root, to "):
        found.load(2, 4)
    allowed = pictures.find_pictures(tmp_path / "data", CLASSES, Rules(allow_outside_links=True))
    assert allowed.load(2, 4).shape == (4, 5, 3)


def test_limits_of_a_picture_hold(tmp_path):
    save(tmp_path / "a.png")
    found = pictures.find_pictures(tmp_path / "a.png", CLASSES, Rules(max_pixels=47))
    assert found.names == ["a.png"]
    with pytest.raises(DataError, match=r"a.png - too many pixels \(48 > limit 47"):
        found.load(0, 4)
    with pytest.raises(DataError, match="too small"):
        pictures.find_pictures(tmp_path / "a.png", CLASSES, Rules(min_size=7)).load(0, 4)


def test_errors_of_a_list_name_the_line(tmp_path):
    save(tmp_path / "in" / "a.png")
    (tmp_path / "list.csv").write_bytes(b"\xef\xbb\xbfFile,Class\r\nin/a.png,dog\r\nb.png,\r\n")
    found = pictures.find_pictures(tmp_path / "list.csv", CLASSES)
    assert found.names == ["in/a.png", "b.png"]
    assert found.labels.tolist() == [1, -1]
    with pytest.raises(DataError, match=r"list.csv:3 \(b.png\) - no such file"):
        found.load(1, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file\n../x.png\n", r"list.csv:2 - \.\./x.png leads out of the folder"),
        ("file\nhttp://x/y.png\n", r"list.csv:2 - http://x/y.png is a URL"),
        ("file,class\na.png,cow\n", r"list.csv:2 - label 'cow' is not one of the 2 classes"),
        ("file\na.png\na.png\n", r"list.csv:3 - a.png is in line 2 already"),
        ("file\n", r"list.csv:1 - no line after the header"),
        ("file,size\na.png,3\n", r"list.csv:1 - expected the header file, or file,class, got"),
        ("label\n1\n", "labels without images; give a folder of pictures"),
    ],
)
def test_lists_that_break_the_rules_are_refused(tmp_path, text, words):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        pictures.find_pictures(tmp_path / "list.csv", CLASSES)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "no such file or folder; give a folder of pictures, one picture, "),
        ("notes.txt", "a file of another kind; give a folder"),
        ("empty", "no pictures in .*empty - no file below it is called .jpg, .png"),
        ("parts", "no test part in .*parts - it holds train; give one of its folders, or --part"),
        ("cut.npy", "bad array in .*cut.npy - truncated"),
    ],
)
def test_other_things_are_refused(tmp_path, name, words):
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    save(tmp_path / "parts" / "train" / "cat" / "a.png")
    np.save(tmp_path / "cut.npy", np.zeros([3, 4, 4], np.uint8))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-1])
    with pytest.raises(DataError, match=words):
        pictures.find_pictures(tmp_path / name, CLASSES)


def test_arrays_are_scaled_as_training_scales_them_but_for_bad_images(tmp_path):
    images = np.linspace(0, 1, 4 * 48, dtype=np.float64).reshape(4, 6, 8)
    images[2] = 7  # which says nothing of the others: they are in [0, 1]
    images[2, 0, 0] = np.inf
    np.save(tmp_path / "x.npy", images)
    found = pictures.find_pictures(tmp_path / "x.npy", CLASSES)
    assert found.names == ["0", "1", "2", "3"]
    assert found.channels == 1
    expected = np.rint(images[3] * 255).astype(np.uint8)
    np.testing.assert_array_equal(found.load(3, 6)[..., 0], expected)
    with pytest.raises(DataError, match="image 2 has NaN or infinite values"):
        found.load(2, 6)
    np.save(tmp_path / "x_labels.npy", np.array(["cat", "dog", "dog", "cow"]))
    unlabelled = pictures.find_pictures(tmp_path / "x.npy", CLASSES)
    assert unlabelled.labels.tolist() == [-1] * 4
    assert "labels are not used: bad labels in " in unlabelled.notes[0]
    shutil.move(tmp_path / "x_labels.npy", tmp_path / "labels.npy")
    with pytest.raises(DataError, match="label 'cow' of image 3 is not one of the 2 classes"):
        pictures.find_pictures(f"{tmp_path}/x.npy,{tmp_path}/labels.npy", CLASSES)


def test_forgiving_tells_of_bad_pictures_and_gives_blank_ones(tmp_path):
    save(tmp_path / "a.png", 200)
    (tmp_path / "b.png").write_bytes(b"")
    failed = {}
    examples = pictures.find_pictures(tmp_path, CLASSES).forgiving(CLASSES, failed.__setitem__)
    assert examples.labels.tolist() == [0, 0]
    assert examples.load(0, 4).min() == 200
    assert not failed
    assert examples.load(1, 4).shape == (4, 4, 3)
    assert str(failed[1]).endswith("b.png - empty; replace or remove it")


def test_built_in_data_have_the_part_that_comes_nearest():
    assert pictures.part_of("digits", "test") == "train"
    assert pictures.part_of("fashion_mnist", "validation") == "test"
    assert pictures.part_of("fashion_mnist", "train") == "train"
    found = pictures.find_pictures("digits", ["0", "1"])
    assert len(found) == 1797
    assert set(found.labels.tolist()) == {-1, 0, 1}
    assert "pictures have labels that the model does not know: ['2', '3'" in found.notes[0]
