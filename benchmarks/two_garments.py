"""Pictures of two garments each, from Fashion-MNIST: several labels a picture.

`python benchmarks/two_garments.py FOLDER` writes `train.csv` and `test.csv`, with the header
`file,labels`, and the PNG files that they list. Two garments stand beside or above one another on
a black square of twice their side, each at a random place across; where both are of one class, the
picture has one label. No garment is in two pictures, those of `test.csv` are Fashion-MNIST's test
images, and everything depends on `--seed` alone.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from hw2.input.sources import builtin, idx


def pasted(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pastes two images `[s, s]` on one of `[2s, 2s]`, upright, where they do not overlap."""
    side, beside = len(first), bool(rng.integers(2))
    canvas = np.zeros([2 * side, 2 * side], first.dtype)
    for along, image in zip((0, side), (first, second), strict=True):
        across = int(rng.integers(side + 1))
        top, left = (across, along) if beside else (along, across)
        canvas[top : top + side, left : left + side] = image
    return canvas


def write(
    images: np.ndarray, labels: np.ndarray, folder: Path, name: str, count: int, seed: int
) -> None:
    """Writes `count` pictures into `folder/name` and their list beside it."""
    rng = np.random.default_rng([seed, len(images)])
    pairs = rng.permutation(len(images))[: 2 * count].reshape(-1, 2)
    classes = builtin.FASHION_CLASSES
    (folder / name).mkdir(parents=True)
    with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["file", "labels"])
        for number, (one, other) in enumerate(pairs.tolist()):
            picture = f"{name}/{number:05d}.png"
            Image.fromarray(pasted(images[one], images[other], rng)).save(folder / picture)
            both = sorted({int(labels[one]), int(labels[other])})
            rows.writerow([picture, ";".join(classes[label] for label in both)])


def make(source: Path, folder: Path, pictures: dict[str, int], seed: int) -> None:
    """Writes both parts; refuses a folder that holds anything, and more pictures than there are."""
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty - give a new folder")
    for part, count in pictures.items():
        images, labels = idx.read_part(source, part)
        if not 1 <= count <= len(images) // 2:
            sys.exit(f"{part} pictures must be 1 to {len(images) // 2:,}, got {count:,}")
        write(images, labels, folder, part, count, seed)
        print(f"{count:,} pictures are in {folder / part}.csv")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument(
        "--source", type=Path, default=Path(builtin.FASHION_FOLDER), help="folder of IDX files"
    )
    parser.add_argument("--train", type=int, default=20_000, help="pictures to train on")
    parser.add_argument("--test", type=int, default=5_000, help="pictures to score")
    parser.add_argument("--seed", type=int, default=0, help="of pairs and places")
    given = parser.parse_args()
    make(given.source, given.folder, {"train": given.train, "test": given.test}, given.seed)


if __name__ == "__main__":
    main()
