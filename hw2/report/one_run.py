"""What the page of one run shows."""

from __future__ import annotations

import shlex
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.jobs import calibration as job
from hw2.jobs import model, multilabel, spec
from hw2.jobs.convolution import convolving
from hw2.models import summary
from hw2.report import accuracy, calibration, curves, inside, neighbours, rejection, variants
from hw2.report.accuracy import Predictions, share
from hw2.report.cards import cards, confused_pairs
from hw2.report.record import Record
from hw2.report.scored import ScoredRun
from hw2.report.sets import SetPredictions
from hw2.runs import diagnosis
from hw2.runs.folder import FLAGS
from hw2.training.calibration import error, probabilities, table


def content(
    one: Record, run: ScoredRun | None, config: Config, out: Console, missing: list[str]
) -> dict[str, Any]:
    """Gathers all that the template needs, stage by stage.

    Args:
      one: What the run folder tells without a model.
      run: The model and its answers; None leaves their parts of the page out.
      config: The settings of the report.
      out: Where people read.
      missing: Collects the reasons of what cannot be shown.
    """
    # The run folder alone: facts, commands to copy, and the curves with what they say.
    repeat = ["python", "train.py", f"--flagfile={one.path / FLAGS}", "--log_path=runs/again"]
    found: dict[str, Any] = {
        "facts": _facts(one, run),
        "again": shlex.join(repeat),
        "evaluate": shlex.join(["python", "eval.py", f"--checkpoint_dir={one.path}"]),
        "flags": one.flags,
        "curves": curves.draw(one) if one.rows else [],
        "sayings": diagnosis.diagnose(one.present_rows) if one.rows else [],
        "answers": None,
        "sets": None,
    }
    if not one.rows:
        missing.append("no curves: metrics.csv has no rows yet")
    if run is None:
        return found

    # How good it is, and on what: accuracies, classes, confusions, calibration.
    found |= {"data": run.data, "sides": variants.table(one, run, config, missing)}
    if isinstance(run.answers, SetPredictions):
        found |= _sets(run, run.answers, config)
    else:
        found |= _accuracy(run, run.answers, config.top_k)
        found |= _calibration(run, run.answers)
        with convolving(config, run.checkpoint):
            found |= rejection.content(run, run.answers, config, out, missing)

    # What the mistakes teach, by the training pictures that are like them.
    with convolving(config, run.checkpoint):
        found |= neighbours.content(run, config, out, missing)

    # How it works: its layers, and what they do to an image.
    found["stages"] = _layers(run, missing)
    with convolving(config, run.checkpoint):
        found |= inside.content(run, missing)
    return found


def _facts(one: Record, run: ScoredRun | None) -> list[tuple[str, str]]:
    flags = one.flags
    epochs = flags.get("epochs", "0")
    end = flags.get("max_steps") if epochs == "0" else f"{epochs} epochs"
    facts = [
        ("trained on", flags.get("train_data_path", "?")),
        ("model", flags.get("model", "?")),
        ("classes", f"{len(one.class_names)}"),
        ("steps", f"{one.step:,}, to end at {end}"),
        ("batch", flags.get("batch_size", "?")),
        ("optimizer", f"{flags.get('optimizer')}, rate {flags.get('learning_rate')}"),
        ("picture", f"{flags.get('image_size')} pixels a side"),
    ]
    if one.best_step is not None:
        facts.append(("best step", f"{one.best_step:,}"))
    if run:
        weights = sum(int(np.prod(v.shape)) for v in run.model.trainable_variables)
        facts.append(("checkpoint shown", f"step {run.checkpoint.step:,}"))
        facts.append(("parameters", f"{weights:,}"))
        environment = run.checkpoint.state["environment"]
        words = [f"{name} {value}" for name, value in environment.items() if value]
        facts.append(("trained with", ", ".join(words)[:300]))
    return facts


def _sets(run: ScoredRun, found: SetPredictions, config: Config) -> dict[str, Any]:
    """What the page shows where images have several labels."""
    return {
        "sets": found,
        "all_right": share(found.right),
        "thresholds": multilabel.thresholds(config, run.checkpoint)[1],
        "classes": found.by_class(),
        "together": [
            ("In the labels", found.together(found.labels)),
            ("As the model gives them", found.together(found.given)),
        ],
        "worst": cards(run, found.worst()),
    }


def _accuracy(run: ScoredRun, found: Predictions, top_k: int) -> dict[str, Any]:
    k = min(top_k, len(found.class_names))
    return {
        "answers": found,
        "k": k,
        "top1": share(found.right),
        "topk": share(found.among(k)),
        "classes": accuracy.by_class(found),
        "matrix": _matrix(found),
        "pairs": confused_pairs(run, found),
        "worst": cards(run, accuracy.worst(found)),
        "unsure": cards(run, accuracy.least_sure(found)),
    }


def _calibration(run: ScoredRun, found: Predictions) -> dict[str, Any]:
    """The reliability of the answers, and of those at temperature 1 if they have another one."""
    drawings, before = [], None
    temperature = job.temperature(run.calibration)
    if temperature != 1 and found.logits is not None:
        binary = model.is_binary(run.checkpoint)
        sure = probabilities(found.logits, binary=binary).max(1)
        before = error(sure, found.right)
        drawings.append(calibration.draw(sure, found.right, "Before temperature scaling"))
    title = f"At temperature {temperature:.3f}" if drawings else "Reliability"
    drawings.append(calibration.draw(found.confidence, found.right, title))
    return {
        "temperature": temperature,
        "ece": error(found.confidence, found.right),
        "ece_before": before,
        "reliability": drawings,
        "bins": table(found.confidence, found.right),
    }


def _matrix(found: Predictions) -> list[dict[str, Any]]:
    """Rows of the confusion matrix, with the percentage of its class in each cell."""
    rows = []
    for name, counts in zip(found.class_names, found.confusion.tolist(), strict=True):
        total = sum(counts)
        cells = [(count, round(100 * count / total) if total else 0) for count in counts]
        rows.append({"name": name, "total": total, "cells": cells})
    return rows


def _layers(run: ScoredRun, missing: list[str]) -> list[summary.Row]:
    shape = spec.image_shape(run.checkpoint.state["identity"])
    try:
        return summary.summarize(run.model, shape)
    except (ValueError, TypeError, AttributeError) as error:
        missing.append(f"no table of layers: {error}")
        return []
