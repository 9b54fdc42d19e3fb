"""The third report's protocol on Fashion-MNIST: its data as files, and the score of an answer.

`python benchmarks/s3_protocol.py make FOLDER` writes 30,000 of the training images, drawn by
`--seed` with as many of each class, as `train_images.npy` and `train_labels.csv`, and the test
images without labels as `test/images.npy`. A sixth of the first is meant to be held out:
`--validation_fraction=0.16666667` trains on 25,000 and validates on 5,000.

`python benchmarks/s3_protocol.py score ANSWER.csv` compares `id,class`, one row for each test
image, with the labels, and knows nothing else of what made it. It ends with exit code 1 where
the file is no answer.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from hw2.input.sources import builtin, idx

LABELLED = 30_000


def make(source: Path, folder: Path, seed: int) -> None:
    """Writes the files of the protocol; refuses a folder that holds anything."""
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty - give a new folder")
    images, labels = idx.read_part(source, "train")
    chosen = draw(labels, LABELLED, seed)
    (folder / "test").mkdir(parents=True)
    np.save(folder / "train_images.npy", images[chosen])
    with open(folder / "train_labels.csv", "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["id", "label"])
        rows.writerows(enumerate(int(label) for label in labels[chosen]))
    np.save(folder / "test" / "images.npy", idx.read_part(source, "test")[0])
    print(f"{len(chosen)} labelled images and the unlabelled test images are in {folder}")


def draw(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Chooses `count` places in `labels`, as many of each class, in random order."""
    rng = np.random.default_rng(seed)
    classes = np.unique(labels)
    each = count // len(classes)
    chosen = [rng.choice(np.flatnonzero(labels == c), each, replace=False) for c in classes]
    return rng.permutation(np.concatenate(chosen))


def score(answer: Path, labels: np.ndarray) -> float:
    """Returns the share of right classes in a CSV of `id,class`, ids from 0 in any order.

    Raises:
      ValueError: A row is missing, doubled or of another form.
    """
    found = np.full(len(labels), -1)
    with open(answer, newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        if next(rows, None) != ["id", "class"]:
            raise ValueError("the header must be id,class.")
        for row in rows:
            place, label = (int(field) for field in row)
            if not 0 <= place < len(labels) or found[place] >= 0:
                raise ValueError(f"id {place} must be in [0, {len(labels)}) and there once.")
            found[place] = label
    if (found < 0).any():
        raise ValueError(f"id {int(np.argmin(found))} must have a class, it has none.")
    return float(np.mean(found == labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("make", "score"))
    parser.add_argument("path", type=Path, help="a new folder to make, or an answer to score")
    parser.add_argument(
        "--source", type=Path, default=Path(builtin.FASHION_FOLDER), help="folder of IDX files"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of the 30,000")
    given = parser.parse_args()
    if given.what == "make":
        make(given.source, given.path, given.seed)
        return
    try:
        right = score(given.path, idx.read_part(given.source, "test")[1])
    except (OSError, ValueError) as error:
        sys.exit(f"{given.path} is no answer - {error}")
    print(f"top-1 {right:.4f}")


if __name__ == "__main__":
    main()
