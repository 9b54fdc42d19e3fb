"""Fashion-MNIST with some labels swapped, and how many of them `hw2 folds` finds.

`python benchmarks/swapped_labels.py make FOLDER` draws 10,000 of the 60,000 training images by
`--seed`, gives 5 % of them another class, drawn evenly from the nine others, and writes
`train_images.npy`, `train_labels.csv` and, for the judge, `swapped.txt`: a line for each image that
was swapped, its name and its true class.

`python benchmarks/swapped_labels.py judge FOLDER RUN/suspects.csv` prints which fraction of the
suspects was swapped (precision), which fraction of the swapped is among the suspects (recall), and
for how many of the swapped the suggested class is the true one.

`python benchmarks/swapped_labels.py draw FOLDER RUN docs/suspects.svg` draws precision and recall
by how many of the least probable labels are taken, with the place where `suspects.csv` ends.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from hw2.input.sources import builtin, idx


def swap(labels: np.ndarray, fraction: float, classes: int, seed: int) -> np.ndarray:
    """Gives a fraction of the labels another class; the classes of the others are the same."""
    rng = np.random.default_rng([seed, 1])
    chosen = rng.choice(len(labels), round(fraction * len(labels)), replace=False)
    swapped = labels.copy()
    swapped[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    return swapped


def make(folder: Path, source: Path, count: int, fraction: float, seed: int) -> None:
    """Writes the images and their labels; refuses a folder that holds anything."""
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty - give a new folder")
    images, labels = idx.read_part(source, "train")
    chosen = np.sort(np.random.default_rng([seed, 0]).choice(len(images), count, replace=False))
    true = labels[chosen].astype(np.int64)
    names = builtin.FASHION_CLASSES
    given = swap(true, fraction, len(names), seed)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "train_images.npy", images[chosen])
    with open(folder / "train_labels.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["id", "label"])
        rows.writerows((number, names[label]) for number, label in enumerate(given))
    places = np.flatnonzero(given != true)
    lines = [f"{place:05d}\t{names[true[place]]}\n" for place in places]
    (folder / "swapped.txt").write_text("".join(lines), "utf-8")
    print(f"{count:,} images are in {folder}, {len(places)} of them with a swapped label")


def swapped_in(folder: Path) -> dict[str, str]:
    """The true class of each image that was swapped, by its name."""
    lines = (folder / "swapped.txt").read_text("utf-8").splitlines()
    return dict(line.split("\t") for line in lines)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file by the names of the columns."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def judge(folder: Path, suspects: Path) -> dict[str, float]:
    """Compares the suspects with what was swapped."""
    swapped = swapped_in(folder)
    found = {row["name"]: row["class"] for row in rows_of(suspects)}
    both = found.keys() & swapped.keys()
    return {
        "suspects": len(found),
        "swapped": len(swapped),
        "precision": len(both) / max(len(found), 1),
        "recall": len(both) / len(swapped),
        "true_class_suggested": sum(found[name] == swapped[name] for name in both) / len(swapped),
    }


def draw(folder: Path, run: Path, output: Path) -> None:
    """Draws precision and recall by the number of labels taken, the least probable first."""
    swapped, rows = swapped_in(folder), rows_of(run / "folds.csv")
    own = np.array([float(row[f"p_{row['class']}"]) for row in rows])
    wrong = np.array([row["name"] in swapped for row in rows])[np.argsort(own, kind="stable")]
    taken, found = np.arange(1, len(wrong) + 1), np.cumsum(wrong)
    most, end = 3 * len(swapped), judge(folder, run / "suspects.csv")
    mpl.rcParams |= {"svg.hashsalt": "hw2", "font.size": 9}
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(taken[:most], (found / taken)[:most], label="precision: of those taken, swapped")
    axes.plot(taken[:most], (found / len(swapped))[:most], label="recall: of the swapped, taken")
    for name, mark in (("precision", "o"), ("recall", "s")):
        label = f"{name} of suspects.csv"
        axes.plot(end["suspects"], end[name], mark, color="black", markersize=5, label=label)
    axes.set_xlabel("labels taken, in the order of their out-of-fold probability")
    axes.set_ylim(0, 1.02)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(output, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path, help="a new folder")
    making.add_argument(
        "--source", type=Path, default=Path(builtin.FASHION_FOLDER), help="folder of IDX files"
    )
    making.add_argument("--count", type=int, default=10_000, help="images to draw")
    making.add_argument("--fraction", type=float, default=0.05, help="of labels to swap")
    making.add_argument("--seed", type=int, default=0)
    judging = commands.add_parser("judge")
    judging.add_argument("folder", type=Path, help="what `make` has written")
    judging.add_argument("suspects", type=Path, help="suspects.csv of hw2 folds")
    drawing = commands.add_parser("draw")
    drawing.add_argument("folder", type=Path, help="what `make` has written")
    drawing.add_argument("run", type=Path, help="folder of hw2 folds")
    drawing.add_argument("output", type=Path, help="the file to draw, .svg or .png")
    given = parser.parse_args()
    if given.command == "draw":
        draw(given.folder, given.run, given.output)
    elif given.command == "make":
        make(given.folder, given.source, given.count, given.fraction, given.seed)
    else:
        print(json.dumps(judge(given.folder, given.suspects)))


if __name__ == "__main__":
    main()
