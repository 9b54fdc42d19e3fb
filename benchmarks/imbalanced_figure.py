"""Draws the recall of each class by several runs, from what `hw2 eval` has written for each.

`python benchmarks/imbalanced_figure.py docs/rare_classes.svg RUN RUN ...` reads
`RUN/eval/per_class.csv` and labels each line by the name of its run folder. Classes are in the
order of `fashion_mnist`, in which `benchmarks/imbalanced.py` makes them rarer and rarer.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from imbalanced import counts_of

from hw2.input.sources import builtin


def recalls(run: Path) -> list[float]:
    """The recall of each class, in the order of `fashion_mnist`."""
    with (run / "eval" / "per_class.csv").open(newline="", encoding="utf-8") as file:
        found = {row["class"]: float(row["top1"]) for row in csv.DictReader(file)}
    return [found[name] for name in builtin.FASHION_CLASSES]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path, help="the file to draw, .svg or .png")
    parser.add_argument("runs", type=Path, nargs="+", help="run folders, each evaluated before")
    given = parser.parse_args()
    mpl.rcParams |= {"svg.hashsalt": "hw2", "font.size": 9}
    names = builtin.FASHION_CLASSES
    kept = counts_of(6000, 60, len(names))
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for run, mark in zip(given.runs, "osv^Dx*+", strict=False):
        axes.plot(range(len(names)), recalls(run), marker=mark, markersize=5, label=run.name)
    ticks = [f"{name}\n{count:,}" for name, count in zip(names, kept, strict=True)]
    axes.set_xticks(range(len(names)), ticks, fontsize=8)
    axes.set_ylim(0, 1)
    axes.set_ylabel("recall on the test images")
    axes.set_xlabel("class, and how many images of it there are to train and validate")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(given.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
