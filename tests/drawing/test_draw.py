"""Moving pictures: the numbers of every frame, and the three kinds of files."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hw2 import ops
from hw2.drawing import film as films
from hw2.drawing import marks, write
from hw2.errors import UsageError
from hw2.ops.geometry import Window


def numbers(frame, fill):
    """The numbers in boxes of a colour, in reading order."""
    found = [mark for mark in frame if mark.fill == fill]
    return [float(mark.text) for mark in sorted(found, key=lambda mark: (mark.y, mark.x))]


@pytest.mark.parametrize(
    "window",
    [
        Window((3, 3)),
        Window((2, 3), (2, 1), "VALID"),
        Window((2, 2), (2, 3), ((1, 0), (2, 1)), (2, 1)),
    ],
)
def test_frames_end_with_what_conv2d_has(window):
    image = np.arange(1.0, 31.0).reshape(5, 6) % 7
    w = np.resize([1.0, 0, -1, 2], window.kernel)
    x, filters = (tf.constant(v, tf.float32) for v in (image[None, ..., None], w[..., None, None]))
    with tf.GradientTape() as tape:
        tape.watch([x, filters])
        y = ops.conv2d(x, filters, *window[1:], algorithm="im2col")  # tf.nn dilates no gradients
    count = y.shape[1] * y.shape[2]
    dy = tf.reshape(np.arange(count) % 3 + 1.0, y.shape)
    dx, dw = tape.gradient(y, [x, filters], tf.cast(dy, tf.float32))

    forward = films.draw(image, w, window)
    assert len(forward.frames) == count + 1
    assert numbers(forward.frames[-1], "result") == y.numpy().ravel().tolist()
    middle = forward.frames[count // 2]
    assert len(numbers(middle, "result")) == count // 2 + 1
    assert np.dot(numbers(middle, "row"), w.ravel()) == y.numpy().ravel()[count // 2]
    assert sorted(numbers(middle, "window")) == sorted(numbers(middle, "row"))

    by_filters = films.draw(image, w, window, way="filters")
    assert numbers(by_filters.frames[-1], "result") == dw.numpy().ravel().tolist()
    by_images = films.draw(image, w, window, way="images")
    assert numbers(by_images.frames[-1], "image") == dx.numpy().ravel().tolist()


def test_a_transposed_convolution_spreads():
    image, w = np.arange(1.0, 7.0).reshape(2, 3), np.ones((3, 3))
    film = films.draw(image, w, Window((3, 3), (2, 2)), way="transposed")
    y = tf.nn.conv2d_transpose(image[None, ..., None], w[..., None, None], [1, 4, 6, 1], 2)
    assert numbers(film.frames[-1], "image") == y.numpy().ravel().tolist()


def test_marks_that_stay_are_one():
    film = films.draw(np.ones((3, 3)), np.ones((2, 2)), Window((2, 2), padding="VALID"))
    spans = marks.merged(film)
    for number, frame in enumerate(film.frames):
        assert {mark for mark, a, b in spans if a <= number < b} == set(frame)
    assert len(spans) < sum(map(len, film.frames)) / 2


def test_too_many_positions_are_refused():
    with pytest.raises(UsageError, match="1 to 64 positions of the window, got 81; give another"):
        films.draw(np.ones((9, 9)), np.ones((3, 3)), Window((3, 3)))


@pytest.mark.parametrize(
    ("window", "way", "said"),
    [
        (Window((3, 3), dilations=(999, 1)), "forward", "got 2003 and 7; give another --size"),
        (Window((3, 3), (1, 999)), "transposed", "at most 64 rows and columns, got 7 and 4995"),
        (Window((16, 16), padding=((8, 7), (8, 7))), "forward", "numbers, got 25 rows of 256"),
    ],
)
def test_tables_that_are_too_large_are_refused(window, way, said):
    with pytest.raises(UsageError, match=said):
        films.draw(np.ones((5, 5)), np.ones(window.kernel), window, way=way)


def test_a_page_has_its_theme_and_says_what_is_computed(tmp_path):
    film = films.draw(np.ones((2, 3)), np.ones((1, 2)), Window((1, 2), padding="VALID"))
    for theme in write.THEMES:
        write.page(film, tmp_path / f"{theme}.html", seconds=1, theme=theme)
    light, dark, auto = (
        (tmp_path / f"{theme}.html").read_text() for theme in ("light", "dark", "auto")
    )
    assert "color-scheme: light; --paper: #f6f7f9;" in light
    assert "color-scheme: dark; --paper: #0e1013;" in dark
    assert "prefers-color-scheme" not in light + dark
    assert "color-scheme: light dark; --paper: #f6f7f9;" in auto
    assert auto.count("prefers-color-scheme: dark") == 2  # the page and the drawing
    said = json.dumps(["1·1 + 1·1 = 2"] * 4 + [""])
    assert f"const words = {said}, count" in auto


def test_the_command_writes_three_kinds_of_files(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--kernel=2", "--stride=2", "--size=4x6"]
    assert command("draw", *words, "--output=film.gif", "--seconds=0.5", "--theme=dark") == 0
    assert capsys.readouterr().out.startswith("6 positions in film.gif, ")
    with Image.open("film.gif") as gif:
        assert gif.n_frames == 7
        assert gif.info["duration"] == 500
        corner = gif.convert("RGB").getpixel((1, 1))
        assert max(corner) < 40
    assert command("draw", *words, "--output=film.svg", "--gradient=images") == 0
    text = (tmp_path / "film.svg").read_text()
    root = ET.fromstring(text)
    assert root.get("aria-label").startswith("The gradient by the image")
    assert "prefers-color-scheme: dark" in text
    assert "prefers-reduced-motion" in text
    classes = set(re.findall(r'class="(s\d+-\d+)"', text))
    assert classes
    assert all(f"@keyframes {name} " in text for name in classes)
    assert command("draw", *words, "--output=film.html", "--transposed") == 0
    page = (tmp_path / "film.html").read_text()
    assert '"window of y += 1 times the filter"' in page
    assert "count = words.length, pause = 1000" in page
    assert not re.search(r"(src|href)=", page)
    Image.new("L", (30, 30), 255).save("white.png")
    assert command("draw", "--picture=white.png", "--size=3", "--output=white.svg") == 0
    assert (tmp_path / "white.svg").read_text().count(">9</text>") >= 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--output=film.png"], "--output must end in .gif or .svg or .html, got 'film.png'"),
        (["--kernel=big"], "--kernel must be a number, or ROWSxCOLUMNS as 2x3, got 'big'"),
        (["--padding=1,2"], "--padding must be SAME, VALID, a number, or TOP,BOTTOM,LEFT,RIGHT"),
        (["--size=99"], "--size and --kernel must be at most 16, more cannot be seen"),
        (["--kernel=7", "--padding=VALID"], "the window must fit into the padded image"),
        (["--transposed", "--gradient=images"], "--transposed and --gradient must not both be"),
        (["--picture=absent.png"], "cannot read absent.png - "),
        (["--seconds=inf"], "bad value in the command line - --seconds must be finite, got inf"),
        (
            ["--seconds=219"],
            "bad value in the command line - --seconds must be in (0, 60], got 219",
        ),
        (["--dilation=999"], "an image with the zeros around it must have at most 64 rows and"),
        (["--output=there.svg"], "cannot write there.svg - it is there already; --overwrite, or"),
    ],
)
def test_mistakes_of_the_command_line(words, said, command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.svg").touch()
    assert command("draw", *words) in (1, 3)
    assert f"error: {said}" in capsys.readouterr().err
