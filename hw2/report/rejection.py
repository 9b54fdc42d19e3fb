"""Rejection on the page: accuracy against coverage, and known beside unknown images."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import Fault
from hw2.jobs import calibration, confidence, distance
from hw2.jobs import rejection as rejections
from hw2.jobs.guess import guesser
from hw2.jobs.rejection import Rejection
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
    chosen, unknown, known = Rejection(None, None), None, found.confidence
    try:
        chosen = rejections.of(config, run.checkpoint, run.tensors, run.calibration, out)
        if chosen.distance:
            known = distance.confidences(
                run.model,
                run.checkpoint.path,
                chosen.distance,
                distance.of_examples(config, run.checkpoint, run.examples, run.indices),
            )
        if config.unknown_data:
            temperature = calibration.temperature(run.calibration)
            guess = guesser(run.model, run.checkpoint, 1, "none", temperature, chosen.distance)
            unknown = confidence.of_unknown(config, run.checkpoint, guess, out)
    except Fault as fault:
        missing.append(f"rejection: {fault}")
        chosen, known = Rejection(None, None), found.confidence
    rows: list[tuple[str, str]] = []
    if chosen.distance:
        rows.append(("score", "distance to the nearest class, in feature space"))
    if chosen.choice:
        figures = confidence.of_threshold(known, found.right, chosen)
        rows += [
            ("threshold", f"{chosen.of_score:.4g}"),
            ("rejected", f"{figures['rejected']:.2%}"),
        ]
        if "accepted_top1" in figures:
            rows.append(("top-1 of the others", f"{figures['accepted_top1']:.2%}"))
    drawings = [draw_curve(known, found.right, chosen)]
    if unknown is not None:
        sure, probabilities = unknown
        figures = confidence.of_both(known, sure, chosen)
        rows += [("unknown pictures", f"{len(sure):,}"), ("AUROC", f"{figures['auroc']:.4f}")]
        rows.append(("unknown accepted where 95 % of the known are", f"{figures['fpr95']:.2%}"))
        if chosen.choice:
            share = figures["unknown_accepted"]
            rows.append(("unknown accepted with the threshold", f"{share:.2%}"))
        drawings.append(draw_unknown(known, sure, chosen, float(figures["auroc"])))
        scores = {"probability": (found.confidence, probabilities)}
        if chosen.distance:
            scores = {"distance": (known, sure)} | scores
        drawings.append(draw_roc(scores, chosen))
    return {"rejection": drawings, "rejection_figures": rows}


def draw_curve(confidence: np.ndarray, right: np.ndarray, chosen: Rejection) -> Drawing:
    """Draws the accuracy on the accepted images against their share, for every threshold."""
    choices = rejection.curve(confidence, right, lowest=-rejection.FARTHEST)
    coverage = np.array([choice.accepted for choice in choices]) / len(right)
    accuracy = np.array([1 - choice.error for choice in choices])
    figure, axes = panel()
    axes.plot(coverage, accuracy, color=SERIES[0], drawstyle="steps-pre", label="accuracy")
    alt = f"Accuracy against coverage: {accuracy[-1]:.3f} if all are accepted"
    half = rejection.for_coverage(choices, 0.5)
    alt += f", {1 - half.error:.3f} on the surest {half.accepted / len(right):.0%}"
    if chosen.choice:
        accepted = ~rejection.rejected(confidence, chosen.threshold)
        share, top1 = accepted.mean(), right[accepted].mean() if accepted.any() else 1.0
        axes.plot(share, top1, "o", color=SERIES[1], label=f"threshold {chosen.of_score:.3g}")
        alt += f"; {top1:.3f} on the {share:.1%} that the threshold {chosen.of_score:.3g} accepts"
    axes.set_xlim(0, 1.02)
    axes.set_ylim(top=min(axes.get_ylim()[1], 1.005))
    axes.set_xlabel("coverage: share that is accepted")
    axes.set_ylabel("top-1 of these")
    legend(axes)
    return Drawing("Accuracy against coverage", svg(figure, alt), alt, f"{alt}.")


def draw_unknown(
    known: np.ndarray, unknown: np.ndarray, chosen: Rejection, auroc: float
) -> Drawing:
    """Draws the scores of known and of unknown images, as shares of each."""
    figure, axes = panel()
    name, edges = "largest probability", np.linspace(0, 1, BINS + 1)
    if chosen.distance:
        name, known, unknown = "distance to the nearest class", -known, -unknown
        # The farthest ones share the last bar, or they would press all others together.
        most = 1.5 * max(np.quantile(known, 0.99), np.quantile(unknown, 0.9))
        edges = np.linspace(0, most, BINS + 1)
    for values, label, colour in ((known, "known", SERIES[0]), (unknown, "unknown", SERIES[1])):
        weights = np.full(len(values), 1 / len(values))
        shown = np.minimum(values, edges[-1])
        axes.hist(shown, edges.tolist(), weights=weights, color=colour, alpha=0.55, label=label)
    if chosen.choice:
        place = min(chosen.of_score, edges[-1])
        axes.axvline(place, color=SERIES[2], linestyle="--", linewidth=1, label="threshold")
    axes.set_xlim(0, edges[-1])
    axes.set_xlabel(name)
    axes.set_ylabel("share of the pictures")
    legend(axes, columns=3)
    alt = (
        f"{name.capitalize()} of known and unknown pictures: medians {np.median(known):.3g} and "
        f"{np.median(unknown):.3g}, AUROC {auroc:.3f}."
    )
    return Drawing("Known and unknown pictures", svg(figure, alt), alt, alt)


def draw_roc(scores: dict[str, tuple[np.ndarray, np.ndarray]], chosen: Rejection) -> Drawing:
    """Draws the share of known images accepted against that of unknown ones, at every threshold.

    Args:
      scores: By name the confidences of known and of unknown images; of the first one is the
        threshold.
      chosen: What is rejected.
    """
    figure, axes = panel()
    words = []
    for (name, (known, unknown)), colour in zip(scores.items(), SERIES, strict=False):
        false, true = rejection.roc(known, unknown)
        axes.plot(false, true, color=colour, label=name)
        words.append(f"{name} {rejection.auroc(known, unknown):.3f}")
    if chosen.choice:
        known, unknown = next(iter(scores.values()))
        shares = [
            float((~rejection.rejected(x, chosen.threshold)).mean()) for x in (unknown, known)
        ]
        axes.plot(*shares, "o", color=SERIES[2], label="threshold")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xlabel("share of the unknown accepted")
    axes.set_ylabel("share of the known accepted")
    legend(axes, columns=3)
    alt = f"ROC curve: known pictures told from unknown ones. AUROC: {', '.join(words)}"
    if chosen.choice:
        alt += (
            f". The threshold accepts {shares[0]:.1%} of the unknown pictures and "
            f"{shares[1]:.1%} of the known ones"
        )
    return Drawing("ROC curve", svg(figure, alt), alt, f"{alt}.")
