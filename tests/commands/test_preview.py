"""The preview shows what the pipeline gives, and writes over nothing of the user's."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2.commands import preview
from hw2.config import settings as config
from hw2.drawing import fonts
from hw2.input.sources import arrays
from hw2.input.stream import order
from hw2.input.transforms import preprocess
from hw2.input.transforms.preprocess import Preprocessing
from hw2.report import figure

FLAGS = ["--short_side=10", "--crop_size=7", "--image_size=6", "--standardize=none"]
P = Preprocessing(6, 1, 10, 7, True, 63.0, 0.2, 1.8, standardize="none")


def settings(*flags):
    return config.parse(["preview", *FLAGS, *flags])


@pytest.fixture
def noisy():
    """40 grey pictures of noise in 4 classes, of which the last has one."""
    images = np.random.default_rng(0).integers(0, 256, [40, 12, 12, 1], np.uint8)
    labels = np.append(np.arange(39) % 3, 3)
    return arrays.examples(images, labels, ["a", "b", "c", "d"])


def test_what_is_drawn_is_what_the_functions_make(noisy):
    chosen = preview._chosen(noisy, 6, 0)
    found = preview.rows(noisy, settings(), pictures=6, versions=3)
    assert [row.texts for row in found] == [
        [noisy.class_names[noisy.labels[i]], "", "", "", ""] for i in chosen
    ]
    for place, (index, row) in enumerate(zip(chosen, found, strict=True)):
        loaded = noisy.load(int(index), 10)
        np.testing.assert_array_equal(row.pictures[0], loaded)
        wanted = [preprocess.evaluation(loaded, P)]
        for epoch in range(3):
            [at] = np.flatnonzero(order.permutation(6, 0, epoch) == place)
            seed = tf.random.experimental.stateless_fold_in(
                tf.constant([0, 0], tf.int64), tf.constant(epoch * 6 + at, tf.int64)
            )
            wanted.append(preprocess.training(loaded, seed, P))
        for picture, levels in zip(row.pictures[1:], wanted, strict=True):
            assert picture.dtype == np.uint8
            difference = picture - np.clip(levels * 255.0, 0, 255)
            assert np.abs(difference).max() <= 0.51  # rounded to whole levels


def test_one_of_every_class_comes_first(noisy):
    chosen = preview._chosen(noisy, 40, 5)
    assert noisy.labels[chosen][:4].tolist() == [0, 1, 2, 3]
    assert noisy.labels[chosen][4:10].tolist() == [0, 1, 2, 0, 1, 2]
    assert sorted(chosen) == list(range(40))


def test_mixed_pictures_say_of_what(noisy):
    found = preview.rows(
        noisy, settings("--mixup=1", "--augmentation=none"), pictures=5, versions=2
    )
    assert len(found) == 4  # in pairs
    texts = [text for row in found for text in row.texts[2:]]
    assert all(text.endswith("%") for text in texts)
    assert any(", " in text for text in texts)
    for row in found:
        assert row.texts[2].startswith(row.texts[0])  # its own share is the larger one


def test_standardized_pictures_become_levels_again():
    image = np.random.default_rng(1).random([6, 6, 3], np.float32)
    own = Preprocessing(6, 3, 6, 6, False, 0.0, 1.0, 1.0)
    statistics = {"mean": (0.5, 0.4, 0.3), "deviation": (0.2,)}
    given = dataclasses.replace(own, standardize="given", **statistics)
    seen = preprocess.standardized(tf.constant(image * 255), given).numpy()
    levels = np.rint(image * 255)
    assert np.abs(preprocess.visible(seen, given) - levels).max() <= 1
    marks = np.array([-9, -2, 0, 2, 9.0])[:, None, None]
    assert preprocess.visible(marks, own).ravel().tolist() == [0, 0, 128, 255, 255]


def test_the_command(command, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    flags = ["digits", *FLAGS, "--augmentation=light", "--pictures", "4", "--versions=2"]
    assert command("preview", *flags) == 0
    assert capsys.readouterr().out == "4 of 1,797 pictures in preview.png\n"
    with Image.open("preview.png") as page:
        assert page.size == (4 * 100 + 4, 4 * 114 + 14 + 4)
        assert len(page.getcolors(10**6)) > 50
    assert command("preview", *flags) == 0  # over its own
    (tmp_path / "note.txt").write_text("mine")
    Image.new("L", (3, 3)).save("mine.png")
    capsys.readouterr()
    for name, why in [
        ("note.txt", "there is something else"),
        ("mine.png", "there is something else"),
        (".", "there is something else"),
        ("no/where.png", "no such file or directory"),
    ]:
        assert command("preview", *flags, f"--output={name}") == 1
        words = f"error: cannot write {name} - {why}; choose another --output\n"
        assert capsys.readouterr().err == words
    assert (tmp_path / "note.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.png", "note.txt", "preview.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 1, "no data in the command line - name it first; a folder, or digits"),
        (["nowhere"], 3, "no data in nowhere - no such folder"),
        (["digits", "--pictures=1"], 1, "--pictures must be at least 2 and --versions at least 1"),
        (["digits", "--flipp"], 1, "there is no --flipp; did you mean --flip?"),
        (["digits", "--standardize=imagenet"], 1, "--channels=3 repeats grey pictures"),
    ],
)
def test_mistakes_are_one_line(command, monkeypatch, tmp_path, capsys, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    assert command("preview", *arguments) == code
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert words in line


def row(*texts):
    return preview.Row([np.zeros((9, 9, 3), np.uint8)] * len(texts), texts)


def drawn(text):
    """The pixels of a line of text under a picture."""
    page = np.array(preview.sheet([row(text, "")]).convert("L"))
    return page[-preview.LINE :] < 128


@pytest.mark.fault(99)
def test_classes_in_cyrillic_and_greek_are_letters_and_not_boxes():
    for one, other in [("Ж", "Б"), ("λ", "π")]:
        assert drawn(one).any()
        assert (drawn(one) != drawn(other)).any()  # two boxes would be equal


@pytest.mark.fault(99)
def test_letters_without_a_font_are_escapes_and_named(monkeypatch):
    monkeypatch.setattr(fonts, "_paths", lambda: iter([fonts.FIRST]))
    words = (
        "no font of this machine has the letters 中文 - they are drawn as escapes; install one, "
        "for example the package fonts-noto-cjk"
    )
    with pytest.warns(UserWarning, match=f"^{words}$"):
        escapes = drawn("中文")
    np.testing.assert_array_equal(escapes, drawn("\\u4e2d\\u6587"))


@pytest.mark.fault(99)
def test_letters_are_taken_from_another_font_of_the_machine(monkeypatch):
    other = fonts.FIRST.replace("DejaVuSans", "STIXGeneral")
    [letter, *_] = sorted(fonts.letters(other) - fonts.letters(fonts.FIRST))
    monkeypatch.setattr(fonts.font_manager, "findSystemFonts", lambda: ["/nonexistent.ttf", other])
    writer = fonts.Writer(["a" + letter], 10)
    assert not writer.missing
    assert [part for part, _ in writer._parts("a" + letter + "b")] == ["a", letter, "b"]
    assert drawn("a" + letter).any()


@pytest.mark.fault(99)
def test_a_figure_of_the_report_leaves_letters_to_the_browser():
    made, axes = figure.panel()
    axes.set_title("中文 Ж")
    assert "中文 Ж" in figure.svg(made, "title")  # a warning would be an error
