"""How sure a model is: whether rightly, and how sure of pictures of none of its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.input.files.names import shown
from hw2.input.sources import unlabelled
from hw2.jobs import calibration as calibrations
from hw2.jobs import data, predict
from hw2.jobs import model as trained
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
    out: Console,
) -> Figures:
    """Computes calibration and rejection of an evaluation, with the temperature of the run.

    Args:
      config: The settings: `weights`, `reject_below` and `unknown_data`.
      checkpoint: The checkpoint that was evaluated.
      tensors: Its tensors by name.
      outputs: Labels and logits of the evaluation.
      out: Where people read.

    Returns:
      Plain JSON: "temperature", "calibrated_loss" (mean negative log-likelihood), "ece" and, at
      temperature 1, "ece_before". With a threshold "reject_below", "rejected" (a share), and
      "accepted_top1" unless all are rejected. With unknown data "unknown_data", "num_unknown",
      "auroc" and "fpr95", and with a threshold "unknown_accepted" (a share).

    Raises:
      Fault: The threshold cannot be chosen, or the unknown data not be used.
    """
    calibrated = calibrations.of(checkpoint, config.weights, out)
    choice = calibrations.choice(config.reject_below, calibrated, checkpoint)
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
    if choice:
        found |= of_threshold(sure, right, choice.threshold)
    if config.unknown_data:
        model = trained.load(checkpoint, tensors, config.weights)
        guess = predict.guesser(model, checkpoint, 1, config.tta, temperature)
        unknown = of_unknown(config, checkpoint, guess, out)
        found["unknown_data"] = data.absolute_path(config.unknown_data)
        found |= of_both(sure, unknown, choice.threshold if choice else None)
    return found


def of_threshold(confidence: np.ndarray, right: np.ndarray, threshold: float) -> Figures:
    """What a threshold rejects, and the top-1 accuracy on what it accepts."""
    rejected = rejection.rejected(confidence, threshold)
    found: Figures = {"reject_below": threshold, "rejected": float(rejected.mean())}
    if not rejected.all():
        found["accepted_top1"] = float(right[~rejected].mean())
    return found


def of_both(known: np.ndarray, unknown: np.ndarray, threshold: float | None) -> Figures:
    """How well the confidence tells known pictures from unknown ones, `[N]` and `[M]`."""
    found: Figures = {
        "num_unknown": len(unknown),
        "auroc": rejection.auroc(known, unknown),
        "fpr95": rejection.accepted_at_95(known, unknown),
    }
    if threshold is not None:
        accepted = ~rejection.rejected(unknown, threshold)
        found["unknown_accepted"] = float(accepted.mean())
    return found


def of_unknown(
    config: Config,
    checkpoint: Checkpoint,
    guess: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]],
    out: Console,
) -> np.ndarray:
    """Classifies the pictures of `--unknown_data`, and returns the largest probability of each.

    Args:
      config: The settings.
      checkpoint: The checkpoint of the model.
      guess: Made by `predict.guesser`.
      out: Where people read.

    Returns:
      `[M]`; bad pictures are left out, with a note.

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
        sure, errors = [], []
        for one in predict.answers(found, checkpoint, guess, batch_size=config.batch_size):
            if one.error:
                errors.append(one.error)
            else:
                sure.append(one.probabilities[0])
            report(one.number + 1, len(found))
    out.print(f"{shown(path)}: {len(sure):,} pictures of no class")
    if errors:
        out.print(f"  note: {len(errors):,} have no answer, the first: {errors[0]}", style="dim")
    if not sure:
        raise DataError(f"no usable picture in {shown(path)} - {errors[0]}")
    return np.array(sure, np.float32)


def in_words(found: Mapping[str, float | int | str]) -> list[str]:
    """The figures in sentences."""
    if not found:
        return []
    words = [
        f"temperature {found['temperature']:.3f}: loss {found['calibrated_loss']:.4f}, calibration "
        f"error {found['ece']:.4f}, {found['ece_before']:.4f} without it"
    ]
    if "reject_below" in found:
        share = f"{found['rejected']:.2%} rejected, below {found['reject_below']:.4g}"
        if "accepted_top1" in found:
            share += f", top-1 of the others {found['accepted_top1']:.4f}"
        words.append(share)
    if "auroc" in found:
        unknown = f"unknown pictures: AUROC {found['auroc']:.4f}, {found['fpr95']:.2%} accepted "
        unknown += "where 95 % of the known ones are"
        if "unknown_accepted" in found:
            unknown += f", {found['unknown_accepted']:.2%} with this threshold"
        words.append(unknown)
    return words
