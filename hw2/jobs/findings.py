"""What several trainings say together: their spread, all held-out answers, suspect labels."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hw2.config.settings import Config
from hw2.errors import writing
from hw2.input.examples import Examples
from hw2.jobs import suspects
from hw2.jobs.held_out import HeldOut
from hw2.jobs.members import Member
from hw2.jobs.suspects import Suspect
from hw2.runs import atomic, cells
from hw2.training import calibration, metrics, rejection

RESULT = "folds.json"
ANSWERS = "folds.csv"
SUSPECTS = "suspects.csv"
COVERAGE = 0.9  # of the threshold that each training is described by
ERRORS = (0.01, 0.02, 0.05)  # for which a threshold is chosen over all folds


@dataclasses.dataclass(frozen=True)
class Found:
    """What the trainings have found together.

    Attributes:
      config: The settings.
      folder: Where the run folders are.
      examples: The data.
      members: The trainings.
      result: What `folds.json` says.
      fold_of: `[N]`, the member that held each image out; None for seeds.
      probabilities: `[N, classes]`, each row by the model that held the image out; None for seeds.
      suspects: Labels that are likely to be wrong; None for seeds, and without cleanlab.
    """

    config: Config
    folder: Path
    examples: Examples
    members: Sequence[Member]
    result: dict[str, Any]
    fold_of: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    suspects: Sequence[Suspect] | None = None


def together(
    config: Config,
    folder: Path,
    members: Sequence[Member],
    answers: Sequence[HeldOut],
    examples: Examples,
    test: Examples | None,
) -> Found:
    """Joins what the trainings say: scores of each, their mean and spread; suspects of folds."""
    binary = config.loss == "binary"
    each = []
    for member, answer in zip(members, answers, strict=True):
        found: dict[str, Any] = {"name": member.name, "seed": member.seed, "step": answer.step}
        found |= _scores(answer.logits, examples.labels[member.held_out], binary)
        if test:
            right = answer.test.argmax(1) == test.labels
            found["test_top1"] = float(right.mean())
        each.append(found)
    names = [name for name in each[0] if name not in ("name", "seed", "step", "num_examples")]
    spread = {name: _spread([one[name] for one in each]) for name in names}
    by_fold = set(members[0].held_out.tolist()).isdisjoint(members[-1].held_out.tolist())
    result: dict[str, Any] = {"log_path": str(folder), "trainings": each, "spread": spread}
    if not by_fold:
        return Found(config, folder, examples, members, result)
    logits = np.empty((len(examples), len(examples.class_names)), np.float32)
    fold_of = np.empty(len(examples), np.int64)
    for number, (member, answer) in enumerate(zip(members, answers, strict=True)):
        logits[member.held_out], fold_of[member.held_out] = answer.logits, number
    joined = _scores(logits, examples.labels, binary)
    probabilities = calibration.probabilities(logits, joined["temperature"], binary=binary)
    thresholds = _thresholds(probabilities, examples.labels)
    result |= {"together": joined, "thresholds": thresholds}
    doubted = None
    if suspects.available():
        doubted = suspects.find(examples.labels, probabilities)
        result["suspects"] = len(doubted)
    return Found(config, folder, examples, members, result, fold_of, probabilities, doubted)


def _scores(logits: np.ndarray, labels: np.ndarray, binary: bool) -> dict[str, Any]:
    """Accuracies of some answers, the temperature that fits them, and a threshold with it."""
    guesses, classes = logits.argmax(1), logits.shape[1]
    right = guesses == labels
    counted = (np.bincount(x, minlength=classes) for x in (labels[right], labels, guesses))
    balanced_accuracy, macro_f1 = metrics.recall_and_f1(*counted)
    temperature = calibration.fit(logits, labels, binary=binary)
    before, after = (
        calibration.probabilities(logits, value, binary=binary).max(1) for value in (1, temperature)
    )
    return {
        "num_examples": len(labels),
        "top1": float(right.mean()),
        "balanced_accuracy": balanced_accuracy,
        "macro_f1": macro_f1,
        "loss": calibration.loss(logits, labels, binary=binary),
        "temperature": temperature,
        "ece_before": calibration.error(before, right),
        "ece": calibration.error(after, right),
        "threshold": rejection.for_coverage(rejection.curve(after, right), COVERAGE).threshold,
    }


def _thresholds(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, float]]:
    """For each of some errors the threshold that accepts most, where there is one."""
    curve = rejection.curve(probabilities.max(1), probabilities.argmax(1) == labels)
    chosen = ((error, rejection.for_error(curve, error)) for error in ERRORS)
    return [
        {"error": error, "reject_below": one.threshold, "coverage": one.accepted / len(labels)}
        for error, one in chosen
        if one
    ]


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation of a single training, and range."""
    return {
        "mean": float(np.mean(values)),
        "deviation": float(np.std(values, ddof=1)),
        "least": min(values),
        "most": max(values),
    }


def write(found: Found) -> None:
    """Writes the result, and for folds every answer and the suspects.

    Raises:
      RunError: The folder cannot be written.
    """
    folder, raw = found.folder, found.config.raw
    if found.probabilities is not None and found.fold_of is not None:
        _write_answers(folder / ANSWERS, found, found.fold_of, found.probabilities)
    if found.suspects is not None:
        suspects.write(folder / SUSPECTS, found.suspects, found.examples, raw=raw)
    with writing(folder / RESULT):
        atomic.write(folder / RESULT, (json.dumps(found.result, indent=1) + "\n").encode())


def _write_answers(
    path: Path, found: Found, fold_of: np.ndarray, probabilities: np.ndarray
) -> None:
    """Writes a row for each image: its fold, class, answer, and the probability of each class."""
    examples, raw = found.examples, found.config.raw
    names = [cells.safe(name, raw=raw) for name in examples.class_names]
    with writing(path), atomic.opened(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", "fold", "class", "answer", *(f"p_{name}" for name in names)])
        for index, row in enumerate(probabilities):
            rows.writerow(
                [
                    cells.safe(examples.names[index], raw=raw),
                    fold_of[index] + 1,
                    names[examples.labels[index]],
                    names[row.argmax()],
                    *(f"{value:.4g}" for value in row),
                ]
            )
