"""The page of several trainings: their spread, and the labels that are suspect."""

from __future__ import annotations

import collections
import json
import time
from typing import Any

import numpy as np

from hw2 import __version__
from hw2.errors import DataError
from hw2.jobs import suspects
from hw2.jobs.findings import ANSWERS, COVERAGE, SUSPECTS, Found
from hw2.jobs.folds import FLAGS
from hw2.report import calibration, page, thumbnail
from hw2.report.accuracy import Share
from hw2.report.figure import INK, SERIES, Drawing, panel, svg
from hw2.terminal import console

PAGE = "folds.html"
MOST = 60  # suspects on the page, whose pictures are in it
SCORES = {
    "top1": "top-1",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "loss": "loss",
    "temperature": "temperature",
    "threshold": f"threshold for {COVERAGE:.0%} coverage",
    "test_top1": "test top-1",
}


def build(found: Found) -> None:
    """Writes the page, says what was found, and prints one JSON line.

    Raises:
      RunError: The page cannot be written.
    """
    out, result = console.stderr(), found.result
    path = found.folder / PAGE
    page.write(path, page.render(content(found), PAGE))
    for name, words in SCORES.items():
        if one := result["spread"].get(name):
            out.print(f"{words}: {one['mean']:.4f} ± {one['deviation']:.4f}")
    if found.suspects is not None:
        count = len(found.suspects)
        out.print(
            f"suspect labels: {count:,} of {len(found.examples):,}; {found.folder / SUSPECTS}"
        )
    out.print(f"{path}")
    print(json.dumps(result | {"page": str(path)}), flush=True)


def content(found: Found) -> dict[str, Any]:
    """Gathers all that the template needs."""
    trainings = found.result["trainings"]
    shown = {name: words for name, words in SCORES.items() if name in trainings[0]}
    made: dict[str, Any] = {
        "version": __version__,
        "made": time.strftime("%Y-%m-%d %H:%M"),
        "title": found.folder.name,
        "result": found.result,
        "scores": shown,
        "drawings": [_tops(trainings)],
        "model": found.config.model,
        "data": found.config.train_data_path,
        "answers": None,
        "files": {"answers": ANSWERS, "suspects": SUSPECTS, "flags": FLAGS},
        "cards": None,
        "missing": suspects.MISSING,
    }
    if found.probabilities is None:
        return made
    confidence = found.probabilities.max(1)
    right = found.probabilities.argmax(1) == found.examples.labels
    made["drawings"].append(calibration.draw(confidence, right))
    made["answers"] = len(right)
    if found.suspects is not None:
        made |= {"cards": _cards(found), "pairs": _pairs(found)}
    return made


def _tops(trainings: list[dict[str, Any]]) -> Drawing:
    """Draws the top-1 accuracy of each training, with its 95 % interval, and their mean."""
    figure, axes = panel(4.0, 1.4 + 0.28 * len(trainings))
    tops = np.array([one["top1"] for one in trainings])
    counts = [one["num_examples"] for one in trainings]
    shares = [Share(round(top * n), n) for top, n in zip(tops, counts, strict=True)]
    low, high = np.array([share.interval for share in shares]).T
    error = [np.maximum(tops - low, 0), np.maximum(high - tops, 0)]  # not -1e-17, by rounding
    rows = np.arange(len(trainings))
    axes.errorbar(tops, rows, xerr=error, fmt="o", color=SERIES[0], markersize=5, capsize=3)
    axes.axvline(tops.mean(), color=INK, linestyle="--", linewidth=1)
    axes.set_yticks(rows, [one["name"] for one in trainings])
    axes.margins(y=0.5 / len(trainings))
    axes.invert_yaxis()
    axes.set_xlabel("top-1 on held-out pictures")
    words = ", ".join(f"{one['name']} {one['top1']:.4f}" for one in trainings)
    alt = f"Top-1 of each training: {words}; mean {tops.mean():.4f}."
    caption = (
        "Bars are Wilson's 95 % intervals, by the number of pictures alone; the dashed line is the "
        "mean."
    )
    return Drawing("Top-1 of each training", svg(figure, alt), alt, caption)


def _cards(found: Found) -> list[dict[str, Any]]:
    """The first suspects, each with its picture; one that has gone since has none."""
    examples, cards = found.examples, []
    for one in (found.suspects or ())[:MOST]:
        try:
            source = thumbnail.encode_example(examples.load, one.image)
        except DataError:
            continue
        cards.append(
            {
                "name": examples.names[one.image],
                "src": source,
                "given": examples.class_names[one.given],
                "suggested": examples.class_names[one.suggested],
                "probability_of_given": one.probability_of_given,
                "probability": one.probability,
            }
        )
    return cards


def _pairs(found: Found) -> list[tuple[str, str, int]]:
    """Given class, suggested class and number of suspects, the most frequent pairs first."""
    names = found.examples.class_names
    counts = collections.Counter((one.given, one.suggested) for one in found.suspects or ())
    return [(names[a], names[b], count) for (a, b), count in counts.most_common(12)]
