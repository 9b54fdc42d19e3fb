"""Suspect labels: images whose class the models that were not trained on them doubt."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hw2.errors import writing
from hw2.input.examples import Examples
from hw2.runs import atomic, cells

COLUMNS = ("name", "given", "class", "probability_of_given", "probability")
MISSING = (
    "no suspect labels without the library cleanlab - pip install -e '.[suspects]' in hw2's folder"
)


class Suspect(NamedTuple):
    """An image whose label is doubted.

    Attributes:
      image: Its index in the data.
      given: Number of its class as the data has it.
      suggested: Number of the likeliest class.
      probability_of_given: Out-of-fold probability of the given class.
      probability: That of the suggested one.
    """

    image: int
    given: int
    suggested: int
    probability_of_given: float
    probability: float


def available() -> bool:
    """Whether cleanlab is installed."""
    return importlib.util.find_spec("cleanlab") is not None


def find(labels: np.ndarray, probabilities: np.ndarray) -> list[Suspect]:
    """Finds labels that are more likely wrong than right, the least probable first.

    Confident learning estimates how many labels are wrong, and how often a class is given in place
    of another. So many of the least probable labels are candidates. One of them is a suspect if the
    model gives it less than twice the rate at which pictures of the likeliest class get this label
    by mistake: at that probability a right and a wrong label are equally likely. The rate is taken
    halfway between that of the two classes, of which few labels tell, and the mean of all pairs.

    Args:
      labels: `[N]` integers.
      probabilities: `[N, classes]`, each row by a model that was not trained on the image.

    Source: Northcutt et al., "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021,
    arxiv.org/abs/1911.00068, as its authors' library cleanlab has it.
    """
    from cleanlab.count import compute_confident_joint, estimate_latent  # pandas: two seconds
    from cleanlab.filter import find_label_issues

    present = np.unique(labels)  # cleanlab estimates nothing of a class without labels
    if len(present) < 2:
        return []
    places = np.searchsorted(present, labels).astype(np.int64)
    shares = probabilities[:, present].astype(np.float64) + 1e-12  # where another class has all
    shares /= shares.sum(1, keepdims=True)
    joint = compute_confident_joint(places, shares)
    _, mistaken, _ = estimate_latent(joint, places)  # [given, true], each column a distribution
    candidates = find_label_issues(
        places,
        shares,
        filter_by="low_self_confidence",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    likeliest, rows = shares.argmax(1), np.arange(len(labels))
    count = len(present)
    mean = (count - np.trace(mistaken)) / (count * (count - 1))
    doubted = shares[rows, places] < mistaken[places, likeliest] + mean  # twice their middle
    return [
        Suspect(
            int(image),
            int(labels[image]),
            int(present[likeliest[image]]),
            float(shares[image, places[image]]),
            float(shares[image, likeliest[image]]),
        )
        for image in candidates
        if doubted[image] and likeliest[image] != places[image]
    ]


def write(path: Path, suspects: Sequence[Suspect], examples: Examples, *, raw: bool) -> None:
    """Writes a CSV file to check: delete a line to keep its label, or correct the class in it.

    Raises:
      RunError: The folder cannot be written.
    """
    with writing(path), atomic.opened(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for one in suspects:
            texts = [
                examples.names[one.image],
                examples.class_names[one.given],
                examples.class_names[one.suggested],
            ]
            rows.writerow(
                [
                    *(cells.safe(text, raw=raw) for text in texts),
                    f"{one.probability_of_given:.4g}",
                    f"{one.probability:.4g}",
                ]
            )
