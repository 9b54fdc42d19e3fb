"""Rejection on the page: accuracy against coverage, and known beside unknown images."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import Fault
from hw2.jobs import calibration, confidence, predict
from hw2.report.accuracy import Predictions
from hw2.report.figure import SERIES, Drawing, legend, panel, svg
from hw2.report.scored import ScoredRun
from hw2.training import rejection

BINS = 20


def content(
    run: ScoredRun, found: Predictions, config: Config, out: Console, missing: list[str]
) -> dict[str, Any]:
    """Gathers the drawings, and the figures of the threshold and of the unknown images.

    Returns:
      "rejection", drawings, and "rejection_figures", pairs of a name and a share; the reasons of
      what cannot be shown are added to `missing`.
    """
    threshold, unknown = None, None
    try:
        choice = calibration.choice(config.reject_below, run.calibration, run.checkpoint)
        threshold = choice.threshold if choice else None
        if config.unknown_data:
            temperature = calibration.temperature(run.calibration)
            guess = predict.guesser(run.model, run.checkpoint, 1, "none", temperature)
            unknown = confidence.of_unknown(config, run.checkpoint, guess, out)
    except Fault as fault:
        missing.append(f"rejection: {fault}")
    rows: list[tuple[str, str]] = []
    if threshold is not None:
        figures = confidence.of_threshold(found.confidence, found.right, threshold)
        rows += [("threshold", f"{threshold:.4g}"), ("rejected", f"{figures['rejected']:.2%}")]
        if "accepted_top1" in figures:
            rows.append(("top-1 of the others", f"{figures['accepted_top1']:.2%}"))
    drawings = [draw_curve(found.confidence, found.right, threshold)]
    if unknown is not None:
        figures = confidence.of_both(found.confidence, unknown, threshold)
        rows += [("unknown pictures", f"{len(unknown):,}"), ("AUROC", f"{figures['auroc']:.4f}")]
        rows.append(("unknown accepted where 95 % of the known are", f"{figures['fpr95']:.2%}"))
        if threshold is not None:
            share = figures["unknown_accepted"]
            rows.append(("unknown accepted with the threshold", f"{share:.2%}"))
        drawings.append(draw_unknown(found.confidence, unknown, threshold, float(figures["auroc"])))
    return {"rejection": drawings, "rejection_figures": rows}


def draw_curve(confidence: np.ndarray, right: np.ndarray, threshold: float | None) -> Drawing:
    """Draws the accuracy on the accepted images against their share, for every threshold."""
    choices = rejection.curve(confidence, right)
    coverage = np.array([choice.accepted for choice in choices]) / len(right)
    accuracy = np.array([1 - choice.error for choice in choices])
    figure, axes = panel()
    axes.plot(coverage, accuracy, color=SERIES[0], drawstyle="steps-pre", label="accuracy")
    alt = f"Accuracy against coverage: {accuracy[-1]:.3f} if all are accepted"
    half = rejection.for_coverage(choices, 0.5)
    alt += f", {1 - half.error:.3f} on the surest {half.accepted / len(right):.0%}"
    if threshold is not None:
        accepted = ~rejection.rejected(confidence, threshold)
        share, top1 = accepted.mean(), right[accepted].mean() if accepted.any() else 1.0
        axes.plot(share, top1, "o", color=SERIES[1], label=f"threshold {threshold:.3g}")
        alt += f"; {top1:.3f} on the {share:.1%} above the threshold {threshold:.3g}"
    axes.set_xlim(0, 1.02)
    axes.set_xlabel("coverage: share that is accepted")
    axes.set_ylabel("top-1 of these")
    legend(axes)
    return Drawing("Accuracy against coverage", svg(figure, alt), alt, f"{alt}.")


def draw_unknown(
    known: np.ndarray, unknown: np.ndarray, threshold: float | None, auroc: float
) -> Drawing:
    """Draws how sure the model is of known and of unknown images, as shares of each."""
    figure, axes = panel()
    edges = np.linspace(0, 1, BINS + 1)
    for values, name, colour in ((known, "known", SERIES[0]), (unknown, "unknown", SERIES[1])):
        weights = np.full(len(values), 1 / len(values))
        axes.hist(values, edges.tolist(), weights=weights, color=colour, alpha=0.55, label=name)
    if threshold is not None:
        axes.axvline(threshold, color=SERIES[2], linestyle="--", linewidth=1, label="threshold")
    axes.set_xlim(0, 1)
    axes.set_xlabel("largest probability")
    axes.set_ylabel("share of the pictures")
    legend(axes, columns=3)
    alt = (
        f"Largest probability of known and unknown pictures: medians {np.median(known):.3f} and "
        f"{np.median(unknown):.3f}, AUROC {auroc:.3f}."
    )
    return Drawing("Known and unknown pictures", svg(figure, alt), alt, alt)
