"""Calibration: whether the confidence of a model matches its accuracy."""

from __future__ import annotations

import numpy as np

from hw2.report.figure import INK, SERIES, Drawing, legend, panels, svg
from hw2.training.calibration import BINS, error, table


def draw(confidence: np.ndarray, right: np.ndarray, title: str = "Reliability") -> Drawing:
    """Draws the reliability diagram, and below it the number of images in each bin."""
    figure, (above, below) = panels(2, 1, 4.0, 4.3, height_ratios=[3, 1], sharex=True)
    rows = table(confidence, right)
    edges, sure, good, counts = (np.array(column) for column in zip(*rows, strict=True))
    width, middle = 1 / BINS, edges + 0.5 / BINS
    above.bar(middle, good, 0.9 * width, color=SERIES[0], alpha=0.55, label="accuracy")
    above.plot([0, 1], [0, 1], "--", color=INK, linewidth=1, label="as sure as right")
    above.plot(sure, good, "o-", color=SERIES[1], markersize=4, label="by mean confidence")
    above.set_ylim(0, 1.02)
    above.set_xlim(0, 1)
    above.set_ylabel("right")
    legend(above)
    below.bar(middle, counts, 0.9 * width, color=SERIES[2])
    below.set_ylabel("pictures")
    below.set_xlabel("confidence of the guess")
    gap = float(confidence.mean() - right.mean())
    way = "too sure" if gap > 0 else "not sure enough"
    alt = (
        f"Reliability diagram. Mean confidence {confidence.mean():.3f}, accuracy "
        f"{right.mean():.3f}: on the whole {way} by {abs(gap):.3f}. Expected calibration error "
        f"{error(confidence, right):.3f}."
    )
    return Drawing(title, svg(figure, alt), f"{title}. {alt}", alt.partition(". ")[2])
