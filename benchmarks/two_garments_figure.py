"""Draws pictures with the probabilities of their classes, from what `hw2 predict` has written.

`python benchmarks/two_garments_figure.py docs/several_labels.png DATA ANSWER.csv` shows the first
pictures of `DATA/test.csv`, made by `benchmarks/two_garments.py`. Under each is a bar for every
class: green where the picture has it, a mark where the model gives it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from PIL import Image

from hw2.input.sources import builtin

PICTURES = 6
TRUE, OTHER = "#1a7f37", "#9aa6b2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path, help="the file to draw, .svg or .png")
    parser.add_argument("data", type=Path, help="the folder of the pictures")
    parser.add_argument("answer", type=Path, help="what hw2 predict wrote of DATA/test.csv")
    given = parser.parse_args()
    with given.answer.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[:PICTURES]
    mpl.rcParams |= {"svg.hashsalt": "hw2", "font.size": 8}
    size = (1.6 * len(rows) + 0.8, 3.6)
    figure, axes = plt.subplots(2, len(rows), figsize=size, layout="constrained", squeeze=False)
    names = builtin.FASHION_CLASSES
    for column, row in enumerate(rows):
        above, below = axes[:, column]
        above.imshow(Image.open(given.data / row["name"]), cmap="gray")
        above.axis("off")
        true, labels = row["true_labels"].split(";"), row["labels"].split(";")
        values = [float(row[f"probability_{name}"]) for name in names]
        colours = [TRUE if name in true else OTHER for name in names]
        below.barh(range(len(names)), values, color=colours)
        for place, (name, value) in enumerate(zip(names, values, strict=True)):
            if name in labels:
                below.text(min(value, 0.85) + 0.03, place, "\u2713", va="center")
        below.set_yticks(range(len(names)), names if column == 0 else [""] * len(names))
        below.set_xlim(0, 1)
        below.invert_yaxis()
    words = "probability of each class; green: the picture has it; \u2713: the model gives it"
    figure.supxlabel(words)
    figure.savefig(given.output, dpi=110)


if __name__ == "__main__":
    main()
