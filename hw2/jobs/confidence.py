"""How sure a model is: whether rightly, and how sure of pictures of none of its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.input.files.names import shown
from hw2.input.sources import unlabelled
from hw2.jobs import calibration as calibrations
from hw2.jobs import data, distance, predict, tta
from hw2.jobs import model as trained
from hw2.jobs import rejection as rejections
from hw2.jobs.guess import Guesser, guesser
from hw2.jobs.rejection import Rejection
from hw2.runs.checkpoints import Checkpoint
from hw2.terminal import progress_bar
from hw2.training import calibration, rejection
from hw2.training.metrics import Outputs

Figures = dict[str, float | int | str]


def figures(
    config: Config,
    checkpoint: Checkpoint,
    tensors: Mapping[str, np.ndarray],
    outputs: Outputs,
    batches: Iterable[tuple],
    out: Console,
) -> Figures:
    """Computes calibration and rejection of an evaluation, with the temperature of the run.

    Args:
      config: The settings: `weights`, `tta`, `reject_by`, `reject_below` and `unknown_data`.
      checkpoint: The checkpoint that was evaluated.
      tensors: Its tensors by name.
      outputs: Labels and logits of the evaluation.
      batches: Its pictures, which are classified once more where distances are to be measured.
      out: Where people read.

    Returns:
      Plain JSON: "temperature", "calibrated_loss" (mean negative log-likelihood), "ece" and, at
      temperature 1, "ece_before". With distances "reject_by". With a threshold "reject_below" or,
      of distances, "reject_above"; "rejected" (a share), and "accepted_top1" unless all are
      rejected. With unknown data "unknown_data", "num_unknown", "auroc" and "fpr95", and with a
      threshold "unknown_accepted" (a share).

    Raises:
      Fault: The threshold cannot be chosen, or the unknown data not be used.
    """
    calibrated = calibrations.of(checkpoint, config.weights, out, config.tta)
    chosen = rejections.of(config, checkpoint, tensors, calibrated, out)
    temperature, binary = calibrations.temperature(calibrated), trained.is_binary(checkpoint)
    labels, logits = outputs.labels, outputs.logits
    right = logits.argmax(1) == labels
    before, sure = (
        calibration.probabilities(logits, value, binary=binary).max(1) for value in (1, temperature)
    )
    found: Figures = {
        "temperature": temperature,
        "calibrated_loss": calibration.loss(logits, labels, temperature, binary=binary),
        "ece": calibration.error(sure, right),
        "ece_before": calibration.error(before, right),
    }
    if not (chosen.distance or chosen.choice or config.unknown_data):
        return found
    model = trained.load(checkpoint, tensors, config.weights)
    if chosen.distance:
        viewed = tta.augmented(model, config.tta)
        sure = distance.confidences(viewed, checkpoint.path, chosen.distance, batches)
    found |= of_threshold(sure, right, chosen)
    if config.unknown_data:
        guess = guesser(model, checkpoint, 1, config.tta, temperature, chosen.distance)
        unknown, _ = of_unknown(config, checkpoint, guess, out)
        found["unknown_data"] = data.absolute_path(config.unknown_data)
        found |= of_both(sure, unknown, chosen)
    return found


def of_threshold(confidence: np.ndarray, right: np.ndarray, chosen: Rejection) -> Figures:
    """The score, and what the threshold rejects with the top-1 accuracy on what it accepts."""
    found: Figures = {**chosen.plain()}
    if not chosen.choice:
        return found
    rejected = rejection.rejected(confidence, chosen.threshold)
    found["rejected"] = float(rejected.mean())
    if not rejected.all():
        found["accepted_top1"] = float(right[~rejected].mean())
    return found


def of_both(known: np.ndarray, unknown: np.ndarray, chosen: Rejection) -> Figures:
    """How well the confidence tells known pictures from unknown ones, `[N]` and `[M]`."""
    found: Figures = {
        "num_unknown": len(unknown),
        "auroc": rejection.auroc(known, unknown),
        "fpr95": rejection.accepted_at_95(known, unknown),
    }
    if chosen.choice:
        accepted = ~rejection.rejected(unknown, chosen.threshold)
        found["unknown_accepted"] = float(accepted.mean())
    return found


def of_unknown(
    config: Config,
    checkpoint: Checkpoint,
    guess: Guesser,
    out: Console,
) -> tuple[np.ndarray, np.ndarray]:
    """Classifies the pictures of `--unknown_data`.

    Args:
      config: The settings.
      checkpoint: The checkpoint of the model.
      guess: Made by `guesser`.
      out: Where people read.

    Returns:
      The confidence of each and its largest probability, `[M]`; bad pictures are left out, with a
      note.

    Raises:
      DataError: The data cannot be used, or no picture of it.
    """
    path = config.unknown_data
    _, scale = data.class_names_and_scale(checkpoint)
    rules = data.rules(data.as_trained(config, checkpoint))
    rules = dataclasses.replace(rules, scale=scale)
    with progress_bar.reporting(f"classifying {shown(path)}", out) as report:
        # Whatever their labels are, no picture is of a class that the model knows.
        found = dataclasses.replace(
            unlabelled.find_pictures(path, (), rules, part=config.part), notes=()
        )
        sure, errors = [], []  # rows of both, and words
        for one in predict.answers(found, checkpoint, guess, batch_size=config.batch_size):
            if one.error:
                errors.append(one.error)
            else:
                sure.append((one.confidence, one.probabilities[0]))
            report(one.number + 1, len(found))
    out.print(f"{shown(path)}: {len(sure):,} pictures of no class")
    if errors:
        out.print(f"  note: {len(errors):,} have no answer, the first: {errors[0]}", style="dim")
    if not sure:
        raise DataError(f"no usable picture in {shown(path)} - {errors[0]}")
    confidence, probability = np.array(sure, np.float32).T
    return confidence, probability


def in_words(found: Mapping[str, float | int | str]) -> list[str]:
    """The figures in sentences."""
    if not found:
        return []
    words = [
        f"temperature {found['temperature']:.3f}: loss {found['calibrated_loss']:.4f}, calibration "
        f"error {found['ece']:.4f}, {found['ece_before']:.4f} without it"
    ]
    if "rejected" in found:
        share = f"{found['rejected']:.2%} rejected, {rejections.in_words(found)}"
        if "accepted_top1" in found:
            share += f", top-1 of the others {found['accepted_top1']:.4f}"
        words.append(share)
    if "auroc" in found:
        by = " by distance" if "reject_by" in found else ""
        unknown = (
            f"unknown pictures{by}: AUROC {found['auroc']:.4f}, {found['fpr95']:.2%} accepted "
        )
        unknown += "where 95 % of the known ones are"
        if "unknown_accepted" in found:
            unknown += f", {found['unknown_accepted']:.2%} with this threshold"
        words.append(unknown)
    return words
