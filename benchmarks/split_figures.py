"""Draws the figures of docs/whole_pictures.md and docs/honest_splits.md by what they explain.

python benchmarks/split_figures.py
"""

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

from hw2.input import groups, split
from hw2.input.examples import Examples
from hw2.input.files import decode
from hw2.input.files.frame import Frame

matplotlib.use("Agg")
from matplotlib import pyplot as plt

DOCS = Path(__file__).parents[1] / "docs"
SIDE = 200
BALLS = [(220, 60, 50), (240, 190, 40), (60, 80, 190)]


def scene(width, height):
    """Three balls in a row on a meadow."""
    image = Image.new("RGB", (width, height), (150, 200, 235))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, height * 0.7, width, height], fill=(90, 150, 80))
    radius = min(width, height) * 0.16
    for number, colour in enumerate(BALLS):
        along = 0.14 + 0.36 * number
        x, y = (width * along, height / 2) if width > height else (width / 2, height * along)
        box = [x - radius, y - radius, x + radius, y + radius]
        draw.ellipse(box, fill=colour, outline="black", width=4)
    return np.asarray(image)


def whole_pictures():
    """A wide and a tall picture, fitted in each way."""
    figure, axes = plt.subplots(2, 4, figsize=(8.6, 4.6))
    for row, size in zip(axes, [(600, 240), (240, 560)], strict=True):
        picture = scene(*size)
        crop = decode.resize(picture, SIDE)
        top, left = ((length - SIDE) // 2 for length in crop.shape[:2])
        shown = {
            "the picture": picture,
            "--fit=crop": crop[top : top + SIDE, left : left + SIDE],
            "--fit=pad --fill=128": decode.resize(picture, Frame(SIDE, "pad", 128)),
            "--fit=stretch": decode.resize(picture, Frame(SIDE, "stretch")),
        }
        for axis, (title, image) in zip(row, shown.items(), strict=True):
            axis.imshow(image)
            axis.set(xticks=[], yticks=[])
            if row is axes[0]:
                axis.set_title(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(DOCS / "whole_pictures.png", dpi=80)


def honest_splits():
    """Frames of films, split by picture and by film."""
    rng = np.random.default_rng(2)
    frames = [(film, f) for film in range(14) for f in range(int(rng.integers(6, 15)))]
    names = tuple(f"{'ab'[film % 2]}/film{film:02}_{f:02}.png" for film, f in frames)
    labels = np.array([film % 2 for film, _ in frames], np.int32)
    examples = Examples(names, labels, ("a", "b"), 3, lambda index, size: None)
    keys = groups.keys(examples, r"(film\d+)_", "")
    drawn = {
        "drawn by picture": split.draw(examples, 0.2, 0),
        r"--group_by='(film\d+)_'": split.draw(examples, 0.2, 0, groups.numbers(keys, None)),
    }
    figure, axes = plt.subplots(1, 2, figsize=(8.6, 3.4), sharey=True)
    for axis, (title, (training, validation)) in zip(axes, drawn.items(), strict=True):
        both = len(groups.parted(keys, training, validation))
        for index, (film, f) in enumerate(frames):
            colour = "#d9602b" if index in validation else "#9db8d2"
            axis.add_patch(plt.Rectangle((f + 0.05, film + 0.08), 0.9, 0.84, color=colour))
        share = len(validation) / len(frames)
        words = f"{both} of 14 films on both sides,\n{share:.0%} of the frames validate"
        axis.set_title(f"{title}: {words}", fontsize=9)
        axis.set(xlim=(0, 15), ylim=(14, 0), xlabel="frame")
    axes[0].set_ylabel("film")
    figure.tight_layout()
    figure.savefig(DOCS / "honest_splits.png", dpi=80)


if __name__ == "__main__":
    whole_pictures()
    honest_splits()
