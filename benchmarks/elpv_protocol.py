"""The protocol of the solar cells' paper: lists of its 2,624 photographs, and scores of answers.

The package `elpv-dataset` holds them; `pip install elpv-dataset` brings them (CC BY-NC-SA 4.0).

`python benchmarks/elpv_protocol.py make FOLDER` copies the photographs into FOLDER/images, and
writes `foldN_train.csv` of 1,968 and `foldN_test.csv` of 656 for N from 1 to 4. The paper trains on
1,968 and tests on 656, drawn with the shares of the kinds of cells kept; it does not say which, so
there are four folds, each tested once. A cell is `defective` if experts gave that at least one
half; `kind` in a name is mono or poly.

`python benchmarks/elpv_protocol.py score ANSWER.csv ...` takes what `hw2 predict --data=FOLDER/
foldN_test.csv` wrote, one file for each fold, and prints accuracy and macro F1 of each, then their
mean and standard deviation, and the same for the cells that experts were sure of.

Source: Deitsch et al., "Automatic classification of defective photovoltaic module cells in
electroluminescence images", 2019, Solar Energy 185, arxiv.org/abs/1807.02894.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedKFold

FOLDS = 4
CLASSES = ("functional", "defective")


class Cell(NamedTuple):
    """A row of the package's list."""

    file: str  # below the list, as images/cell0001.png
    probability: float  # of a defect: 0, 1/3, 2/3 or 1
    kind: str  # mono or poly

    @property
    def label(self) -> str:
        return CLASSES[self.probability >= 0.5]

    @property
    def sure(self) -> bool:
        return self.probability in (0, 1)


def package() -> Path:
    """The folder of the package's data."""
    found = importlib.util.find_spec("elpv_dataset")
    if found is None or not found.submodule_search_locations:
        sys.exit("the photographs are not there - type: pip install elpv-dataset")
    return Path(found.submodule_search_locations[0]) / "data"


def cells(folder: Path) -> list[Cell]:
    """Reads the package's list: file, probability and kind, with blanks between."""
    rows = [line.split() for line in (folder / "labels.csv").read_text("utf-8").splitlines()]
    return [Cell(file, float(probability), kind) for file, probability, kind in rows]


def folds(found: list[Cell], seed: int) -> list[np.ndarray]:
    """Draws the test parts, each with the same share of every kind and probability."""
    strata = [f"{cell.kind} {cell.probability:.2f}" for cell in found]
    drawn = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(strata, strata)
    return [np.sort(test) for _, test in drawn]


def make(folder: Path, seed: int) -> None:
    """Writes the photographs and the lists; refuses a folder that holds anything."""
    if folder.exists() and any(folder.iterdir()):
        sys.exit(f"{folder} is not empty - give a new folder")
    source = package()
    found = cells(source)
    shutil.copytree(source / "images", folder / "images")
    for number, test in enumerate(folds(found, seed), start=1):
        train = np.setdiff1d(np.arange(len(found)), test)
        for part, chosen in (("train", train), ("test", test)):
            path = folder / f"fold{number}_{part}.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(["file", "class"])
                rows.writerows((found[index].file, found[index].label) for index in chosen)
    print(f"{len(found)} photographs and {FOLDS} folds are in {folder}")


def score(answers: Iterable[Path], found: list[Cell]) -> list[dict[str, float]]:
    """Scores each answer, a CSV with the columns `name` and `class`.

    Raises:
      ValueError: A name is unknown, or a cell is in two answers.
    """
    by_name = {cell.file: cell for cell in found}
    seen: set[str] = set()
    results = []
    for path in answers:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(row["name"], row["class"]) for row in csv.DictReader(file)]
        names = [name for name, _ in rows]
        if unknown := [name for name in names if name not in by_name]:
            raise ValueError(f"{path} must name cells of the package, got {unknown[0]}.")
        if seen & set(names) or len(set(names)) < len(names):
            raise ValueError(f"{path} must not name a cell that an answer has named before.")
        seen |= set(names)
        results.append(_figures([(by_name[name], answer) for name, answer in rows]))
    return results


def _figures(pairs: list[tuple[Cell, str]]) -> dict[str, float]:
    parts = {"": pairs, " sure": [pair for pair in pairs if pair[0].sure]}
    for kind in ("mono", "poly"):
        parts[f" {kind}"] = [pair for pair in pairs if pair[0].kind == kind]
    figures: dict[str, float] = {}
    for part, chosen in parts.items():
        truth, answer = [cell.label for cell, _ in chosen], [answer for _, answer in chosen]
        right = [a == b for a, b in zip(truth, answer, strict=True)]
        figures[f"accuracy{part}"] = float(np.mean(right))
        figures[f"macro F1{part}"] = float(f1_score(truth, answer, average="macro"))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("make", "score"))
    parser.add_argument("paths", type=Path, nargs="+", help="a new folder, or answers")
    parser.add_argument("--seed", type=int, default=0, help="of the folds")
    given = parser.parse_args()
    if given.what == "make":
        make(given.paths[0], given.seed)
        return
    try:
        results = score(given.paths, cells(package()))
    except (OSError, KeyError, ValueError) as error:
        sys.exit(f"no answer - {error}")
    print(
        f"{'':16}" + "".join(f"{path.stem:>12.12}" for path in given.paths) + "    mean   deviation"
    )
    for name in results[0]:
        values = [result[name] for result in results]
        spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
        each = "".join(f"{value:12.4f}" for value in values)
        print(f"{name:16}{each}{np.mean(values):8.4f}{spread:12.4f}")


if __name__ == "__main__":
    main()
