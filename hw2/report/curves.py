"""Curves of a training, or of several over one another."""

from __future__ import annotations

from collections.abc import Sequence

from hw2.report.figure import INK, SERIES, Drawing, legend, mark, panel, svg
from hw2.report.page import shortened
from hw2.report.record import Record

_PLOTS = (  # title, unit, and columns with what they are called
    ("Loss", "nats", (("loss", "training"), ("val_loss", "validation, averaged"))),
    ("Accuracy", "top-1", (("accuracy", "training"), ("val_top1", "validation, averaged"))),
    ("mAP", "", (("val_mean_average_precision", "validation, averaged"),)),
    (
        "Labels in common",
        "",
        (("val_accuracy", "validation, averaged"), ("accuracy", "training")),
    ),
    ("F1", "", (("val_micro_f1", "micro F1"), ("val_macro_f1", "macro F1"))),
    (
        "All classes alike",
        "",
        (("val_balanced_accuracy", "balanced accuracy"), ("val_macro_f1", "macro F1")),
    ),
    ("Learning rate", "", (("learning_rate", "rate"),)),
    ("Speed", "examples/s", (("examples_per_second", "examples/s"),)),
)
_ALWAYS = ("Loss", "Accuracy", "Learning rate", "Speed")  # older runs have no others
_NOTES = {
    "Loss": "The training loss has the L2 penalty in it and is of pictures as augmented.",
    "Training loss": "With the L2 penalty in it, of pictures as augmented.",
    "Validation accuracy": "By averaged weights.",
    "Validation mAP": "Mean average precision over the classes. By averaged weights.",
    "mAP": "Mean average precision over the classes.",
    "Labels in common": "Labels that a picture has and is given, of those that it has or is given.",
    "F1": "F1 of all labels together, and its mean over the classes, at the thresholds then.",
    "Validation loss": "By averaged weights, without the penalty.",
    "All classes alike": "Means over the classes: of recall, and of F1. By averaged weights.",
    "Learning rate": "What a step is multiplied by, after warm-up, schedule and halvings.",
    "Speed": "While training; evaluations and checkpoints are not counted.",
    "Accuracy": "Training counts pictures as augmented, with the raw weights of each moment.",
}


def draw(record: Record) -> list[Drawing]:
    """Draws loss, accuracy, rate and speed of a run; marks checkpoints, halvings and the best."""
    several = bool(record.series("val_accuracy")[0])  # which has no top-1
    always = [title for title in _ALWAYS if not (several and title == "Accuracy")]
    plots = (
        plot
        for plot in _PLOTS
        if plot[0] in always or (plot[0] not in _ALWAYS and record.series(plot[2][0][0])[0])
    )
    return [_plot(record, *plot) for plot in plots]


def together(records: Sequence[Record], labels: Sequence[str]) -> list[Drawing]:
    """Draws validation loss and accuracy, training loss and speed of several runs."""
    plots = (
        ("Validation accuracy", "top-1", "val_top1"),
        ("Validation mAP", "", "val_mean_average_precision"),
        ("Validation loss", "nats", "val_loss"),
        ("Training loss", "nats", "loss"),
        ("Speed", "examples/s", "examples_per_second"),
    )
    # What the width of a figure holds; matplotlib takes no bytes that are not UTF-8.
    short = [shortened(label, 40).encode("utf-8", "replace").decode() for label in labels]
    drawings = []
    for title, unit, column in plots:
        if title.startswith("Validation") and not any(one.series(column)[0] for one in records):
            continue
        figure, axes = panel()
        words = []
        for number, (record, label) in enumerate(zip(records, labels, strict=True)):
            steps, values = record.series(column)
            style = "-" if number < len(SERIES) else "--"
            colour = SERIES[number % len(SERIES)]
            # A space of no width: matplotlib leaves a label that begins with "_" out of the legend.
            name = f"\u200b{short[number]}"
            axes.plot(steps, values, style, color=colour, label=name, marker=".", markersize=3)
            if values:
                words.append(f"{label} ends at {values[-1]:.4g}")
        axes.set_xlabel("step")
        axes.set_ylabel(unit)
        legend(axes, columns=1 if max(map(len, short)) > 18 else 2)
        alt = f"{title} by step: {'; '.join(words) or 'no values yet'}."
        drawings.append(Drawing(title, svg(figure, alt), alt, _NOTES[title]))
    return drawings


def _plot(record: Record, title: str, unit: str, columns: Sequence[tuple[str, str]]) -> Drawing:
    figure, axes = panel()
    words = []
    for number, (column, label) in enumerate(columns):
        steps, values = record.series(column)
        axes.plot(
            steps,
            values,
            color=SERIES[number],
            marker="o" if number else None,
            markersize=3,
            linewidth=1.5,
            label=label,
        )
        if values:
            words.append(f"{label} from {values[0]:.4g} to {values[-1]:.4g}")
            if title == "Learning rate" and max(values) > 0:
                axes.set_ylim(0, 1.08 * max(values))
    if title in ("Accuracy", "All classes alike", "mAP", "Labels in common", "F1"):
        axes.set_ylim(0, 1.02)
    mark(axes, record.halvings, SERIES[3], "rate halved", "--")
    if record.best_step is not None:
        mark(axes, [record.best_step], SERIES[2], "best", "-")
        words.append(f"best at step {record.best_step}")
    if record.saved:
        bottom = [0.012] * len(record.saved)
        axes.plot(
            record.saved,
            bottom,
            "^",
            transform=axes.get_xaxis_transform(),
            color=INK,
            markersize=4,
            label="checkpoint kept",
        )
    axes.set_xlabel("step")
    axes.set_ylabel(unit)
    legend(axes)
    halved = f"; rate halved at {', '.join(map(str, record.halvings))}" if record.halvings else ""
    alt = f"{title} by step: {'; '.join(words) or 'no values yet'}{halved}."
    return Drawing(title, svg(figure, alt), alt, _NOTES[title])
