"""The code of docs/convolution.md and docs/beyond_images.md runs; a picture is the library's."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "convolution.md"


@pytest.mark.parametrize(("name", "least"), [("convolution.md", 4), ("beyond_images.md", 3)])
def test_every_code_block_runs(name, least):
    page = PAGE.with_name(name)
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= least
    exec(compile("\n".join(blocks), str(page), "exec"), {})


def test_the_picture_shows_the_image_and_the_matrix():
    pytest.importorskip("matplotlib")
    from hw2.report import patches

    figure = patches.draw(np.arange(1, 17).reshape(4, 4), 3, padding="VALID")
    image, matrix = figure.axes
    assert [text.get_text() for text in image.texts] == [str(k) for k in range(1, 17)]
    assert len(image.patches) == 4  # windows
    rows = [1, 2, 5, 6]
    expected = [start + 4 * a + b for start in rows for a in range(3) for b in range(3)]
    assert [int(text.get_text()) for text in matrix.texts] == expected
    drawn = {
        text
        for text in re.findall(r">(\d+)</text>", (PAGE.parent / "patch_matrix.svg").read_text())
    }
    assert {str(k) for k in range(1, 17)} <= drawn


def test_the_picture_has_the_zeros_that_windows_read():
    pytest.importorskip("matplotlib")
    from hw2.report import patches

    image, matrix = patches.draw(np.ones([3, 3]), 3, strides=2).axes
    assert len(image.texts) == 25
    assert len(matrix.texts) == 4 * 9
    with pytest.raises(ValueError, match="a drawing has room for 36 windows, got 49"):
        patches.draw(np.ones([7, 7]), 3)
