"""Several labels a picture: which settings go with them, and the thresholds of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from hw2.config.choices import OF_ONE_LABEL, OF_SEVERAL_LABELS
from hw2.config.settings import Config
from hw2.errors import DataError, UsageError
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files.names import shown
from hw2.runs.checkpoints import Checkpoint

USUAL = 0.5  # that of hw2.training.multilabel, which imports TensorFlow; a test compares
OF_SETS = ("binary", "focal")  # losses that take each class by itself


def is_of(spec: Mapping[str, Any]) -> bool:
    """Whether the pictures of a training have several labels."""
    return spec.get("several_labels", False)


def chosen(config: Config, several: bool) -> Config:
    """The settings with the loss and the score that fit the labels, where they were left open.

    Args:
      config: The settings.
      several: Whether the pictures have several labels.
    """
    best_by = (OF_SEVERAL_LABELS if several else OF_ONE_LABEL)[0]
    loss = "binary" if several else "cross_entropy"
    return dataclasses.replace(
        config,
        loss=loss if config.loss == "auto" else config.loss,
        best_by=best_by if config.best_by == "auto" else config.best_by,
    )


def check(config: Config, examples: Examples) -> None:
    """Refuses settings that do not go with the labels of the training data.

    Raises:
      UsageError: A setting is for labels of the other kind.
    """
    where = shown(config.train_data_path)
    scores = OF_SEVERAL_LABELS if examples.several else OF_ONE_LABEL
    if config.best_by not in ("auto", *scores):
        kind = "several labels" if examples.several else "one label"
        raise UsageError(
            f"--best_by must be {' or '.join(scores)} with {kind} a picture, as {where} has, got "
            f"{config.best_by}"
        )
    if not examples.several:
        return
    if config.loss not in ("auto", *OF_SETS):
        raise UsageError(
            f"--loss must be {' or '.join(OF_SETS)} with several labels a picture, as {where} "
            f"has, got {config.loss}, whose probabilities sum to 1; leave it out"
        )
    if config.sampling == "balanced":
        raise UsageError(
            f"--sampling must be uniform with several labels a picture, as {where} has, got "
            "balanced: a picture drawn for one class brings its others along; "
            "--class_weights=balanced makes rare classes count more"
        )


def check_rejection(config: Config, checkpoint: Checkpoint) -> None:
    """Refuses to reject pictures that have several labels, and a threshold of an only label.

    Raises:
      UsageError: They have several, and `--reject_below` or `--reject_by` asks for it; or they have
        one, and `--threshold` is given.
    """
    if not is_of(checkpoint.state["identity"]):
        if config.threshold:
            raise UsageError(
                f"--threshold must be left out with one label a picture, got {config.threshold:g}; "
                "--reject_below says how probable the label must be"
            )
        return
    for flag, given in (
        ("reject_below", config.reject_below),
        ("reject_by", config.reject_by.replace("probability", "")),
    ):
        if given:
            raise UsageError(
                f"--{flag} must be left out with several labels a picture, got {given}: a picture "
                "without any label is an answer too; --threshold says how probable a label must be"
            )


def check_sure(config: Config, checkpoint: Checkpoint) -> None:
    """Refuses the settings of an evaluation that measure how sure the only label is.

    Raises:
      UsageError: There is one.
    """
    check_rejection(config, checkpoint)
    if config.unknown_data:
        raise UsageError(
            f"--unknown_data must be left out with several labels a picture, got "
            f"{config.unknown_data}: a picture of no class is one without a label"
        )


def check_labels(examples: Examples, indices: np.ndarray, place: str) -> None:
    """Refuses pictures of which none has a label, since no score can be told of them.

    Raises:
      DataError: None has one.
    """
    if examples.several and not examples.labels[indices].any():
        raise DataError(
            f"no labels in {place} - none of its {len(indices)} pictures has one; "
            "take pictures that have labels"
        )


def class_weights(examples: Examples, training: np.ndarray) -> list[float]:
    """Balanced weights: how many pictures have not a class, for each that has it; 1 if none has."""
    counts = labelling.counts(examples.labels[training], len(examples.class_names))
    return [(len(training) - n) / n if n else 1.0 for n in counts.tolist()]


def thresholds(config: Config, checkpoint: Checkpoint) -> tuple[list[float], str]:
    """Finds the threshold of each class for a checkpoint.

    It is `--threshold`, else what the checkpoint's own evaluation chose, or the best one's if it
    has none.

    Returns:
      The thresholds, and in words where they come from.
    """
    classes = len(checkpoint.state["identity"]["class_names"])
    if config.threshold:
        return [config.threshold] * classes, f"--threshold={config.threshold:g}"
    for name, words in (("validation", "its validation"), ("best", "the best validation so far")):
        scores = checkpoint.state.get(name) or {}
        if "thresholds" in scores:
            return list(scores["thresholds"]), f"chosen on {words}"
    return [USUAL] * classes, f"{USUAL:g}, since the run has no validation yet"
