"""Several runs beside one another."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hw2.report import accuracy, curves
from hw2.report.accuracy import Predictions, share
from hw2.report.record import Record
from hw2.report.scored import ScoredRun
from hw2.report.sets import SetPredictions
from hw2.training import calibration


def content(
    records: Sequence[Record],
    labels: Sequence[str],
    scored: Sequence[ScoredRun | None],
    top_k: int,
    missing: list[str],
) -> dict[str, Any]:
    """A row for each run, their curves over one another, and McNemar's test of each pair."""
    rows = [_row(*columns, top_k) for columns in zip(records, labels, scored, strict=True)]
    return {
        "rows": rows,
        "sets": [
            (label, run.answers.scores)
            for label, run in zip(labels, scored, strict=True)
            if run and isinstance(run.answers, SetPredictions)
        ],
        "tests": _tests(labels, scored, missing),
        "curves": curves.together(records, labels),
        "differences": _differences([one.flags for one in records]),
    }


def _row(one: Record, label: str, run: ScoredRun | None, top_k: int) -> dict[str, Any]:
    _, speeds = one.series("examples_per_second")
    row: dict[str, Any] = {
        "label": label,
        "model": one.flags.get("model", "?"),
        "data": one.flags.get("train_data_path", "?"),
        "step": one.step,
        "best_step": one.best_step,
        "speed": float(np.median(speeds)) if speeds else None,
        "top1": None,
    }
    if run is None or isinstance(run.answers, SetPredictions):
        return row
    k = min(top_k, len(run.answers.class_names))
    return row | {
        "top1": share(run.answers.right),
        "topk": share(run.answers.among(k)),
        "k": k,
        "balanced_accuracy": run.answers.balanced_accuracy,
        "macro_f1": run.answers.macro_f1,
        "loss": run.answers.loss,
        "ece": calibration.error(run.answers.confidence, run.answers.right),
        "parameters": sum(int(np.prod(v.shape)) for v in run.model.trainable_variables),
    }


def _tests(
    labels: Sequence[str], scored: Sequence[ScoredRun | None], missing: list[str]
) -> list[dict[str, Any]]:
    """McNemar's test of each pair of runs that were both scored."""
    tests = []
    named = zip(labels, scored, strict=True)
    for (first, one), (second, other) in itertools.combinations(named, 2):
        answers = [run.answers for run in (one, other) if run]
        pair = [found for found in answers if isinstance(found, Predictions)]
        if len(pair) < 2:
            continue
        result = accuracy.mcnemar(*pair)
        if result is None:
            missing.append(
                f"no McNemar test of {first} and {second}: they have no pictures "
                "in common, or other classes; give --test_data_path"
            )
        else:
            tests.append({"first": first, "second": second, **result})
    return tests


def _differences(flags: Sequence[Mapping[str, str]]) -> list[tuple[str, list[str]]]:
    """The settings that are not the same in all runs, with the value of each run."""
    names = dict.fromkeys(name for one in flags for name in one)
    table = [(name, [one.get(name, "") for one in flags]) for name in names]
    return [(name, values) for name, values in table if len(set(values)) > 1]
