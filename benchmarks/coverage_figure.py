"""Draws accuracy against coverage, from the answers of `hw2 predict` for pictures with labels.

`python benchmarks/coverage_figure.py docs/coverage.svg ANSWERS.jsonl --threshold=0.587` draws the
top-1 of the surest pictures by their share, and where the threshold lies. The answers come from
`hw2 predict RUN PICTURES --output=ANSWERS.jsonl`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from hw2.training import rejection


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The largest probability of each picture that has an answer, and whether it is right."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows = [row for row in rows if row.get("guesses")]
    sure = np.array([row["guesses"][0]["probability"] for row in rows])
    return sure, np.array([row["guesses"][0]["class"] == row["label"] for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path, help="the file to draw, .svg or .png")
    parser.add_argument("answers", type=Path, help="JSON lines of hw2 predict")
    parser.add_argument("--threshold", type=float, default=0.0, help="0 for none")
    given = parser.parse_args()
    mpl.rcParams |= {"svg.hashsalt": "hw2", "font.size": 9}
    sure, right = read(given.answers)
    choices = [c for c in rejection.curve(sure, right, most=200) if c.accepted >= 0.02 * len(sure)]
    figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
    axes.plot([c.accepted / len(sure) for c in choices], [1 - c.error for c in choices])
    if given.threshold:
        accepted = ~rejection.rejected(sure, given.threshold)
        share, top1 = accepted.mean(), right[accepted].mean()
        axes.plot(share, top1, "o")
        words = f"threshold {given.threshold:g}:\n{top1:.3f} on {share:.1%}"
        axes.annotate(
            words, (share, top1), (-10, -8), textcoords="offset points", ha="right", va="top"
        )
    axes.set_xlim(0, 1.01)
    axes.set_xlabel("coverage: share of the test pictures that are accepted")
    axes.set_ylabel("top-1 of these")
    axes.grid(alpha=0.3)
    figure.savefig(given.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
