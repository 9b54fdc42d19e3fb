"""An imbalanced Fashion-MNIST: each class has a fixed share of the images of the one before.

`python benchmarks/imbalanced.py FOLDER` writes `train_images.npy` and `train_labels.csv`. The first
class keeps all of its 6,000 training images and the last, by default, 60 of them, so the share is
(60 / 6000) ** (1 / 9). Which images are kept depends on `--seed`. The 10,000 test images, with as
many of each class, are those of `fashion_mnist`.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from hw2.input.sources import builtin, idx


def counts_of(most: int, least: int, classes: int) -> list[int]:
    """How many images each class keeps, the largest first."""
    return [round(most * (least / most) ** (c / (classes - 1))) for c in range(classes)]


def draw(labels: np.ndarray, least: int, seed: int) -> np.ndarray:
    """Chooses places in `labels`, fewer of each class than of the one before, in random order."""
    rng = np.random.default_rng(seed)
    sizes = np.bincount(labels)
    kept = counts_of(int(sizes.min()), least, len(sizes))
    chosen = [
        rng.choice(np.flatnonzero(labels == label), count, replace=False)
        for label, count in enumerate(kept)
    ]
    return rng.permutation(np.concatenate(chosen))


def make(source: Path, folder: Path, least: int, seed: int) -> None:
    """Writes the images and their labels; refuses a folder that holds anything."""
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty - give a new folder")
    images, labels = idx.read_part(source, "train")
    chosen = draw(labels, least, seed)
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "train_images.npy", images[chosen])
    with open(folder / "train_labels.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["id", "label"])
        names = builtin.FASHION_CLASSES
        rows.writerows((number, names[label]) for number, label in enumerate(labels[chosen]))
    kept = np.bincount(labels[chosen])
    print(f"{len(chosen):,} images are in {folder}, of each class {', '.join(map(str, kept))}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument(
        "--source", type=Path, default=Path(builtin.FASHION_FOLDER), help="folder of IDX files"
    )
    parser.add_argument("--least", type=int, default=60, help="images of the smallest class")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of the images")
    given = parser.parse_args()
    make(given.source, given.folder, given.least, given.seed)


if __name__ == "__main__":
    main()
