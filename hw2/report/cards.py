"""Cards of the page: an image, its class, and what the model says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hw2.errors import DataError
from hw2.report import accuracy, thumbnail
from hw2.report.accuracy import Predictions
from hw2.report.scored import ScoredRun

MOST_PAIR_PICTURES = 6


def cards(run: ScoredRun, rows: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
    """Makes a card for each row of the answers; an image that has gone since has none."""
    found, made = run.answers, []
    for row in rows:
        try:
            source = thumbnail.encode_example(run.examples.load, int(run.indices[row]))
        except DataError:  # the file has gone since
            continue
        made.append(
            {
                "name": found.names[row],
                "src": source,
                "label": found.label_of(row),
                "guess": found.guess_of(row),
                "right": bool(found.right[row]),
                "best": [
                    (found.class_names[label], value, found.has(row, label))
                    for label, value in found.best(row)
                ],
            }
        )
    return made


def confused_pairs(run: ScoredRun, found: Predictions) -> list[dict[str, Any]]:
    """The pairs of a class and a wrong guess that are most frequent, with images of each."""
    return [
        {
            "label": found.class_names[label],
            "guess": found.class_names[guess],
            "count": len(rows),
            "of": int((found.labels == label).sum()),
            "pictures": cards(run, rows[:MOST_PAIR_PICTURES]),
        }
        for label, guess, rows in accuracy.confused(found)
    ]
