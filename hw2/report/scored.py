"""A run whose model has classified the held-out images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError, Fault
from hw2.input.examples import Examples
from hw2.jobs import calibration, data, leaks, multilabel, spec
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.report import accuracy
from hw2.report.accuracy import Predictions
from hw2.report.record import Record
from hw2.report.sets import SetPredictions
from hw2.runs.calibration import Calibration
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder


@dataclasses.dataclass(frozen=True)
class ScoredRun:
    """A run with its checkpoint, its model, the data and what the model says of them.

    Attributes:
      checkpoint: The checkpoint that the page is about.
      tensors: Its tensors; a running training may have removed the file since.
      model: The model with the weights that `--weights` names.
      examples: The data.
      indices: The held-out examples that were classified.
      training: The examples that were trained on; None where `--test_data_path` gives other data.
      answers: What the model says of `indices`.
      data: What the held-out data are called on the page.
      calibration: The calibration that the answers were made with, if there is one.
    """

    checkpoint: Checkpoint
    tensors: Mapping[str, np.ndarray]
    model: tf.Module
    examples: Examples
    indices: np.ndarray
    training: np.ndarray | None
    answers: Predictions | SetPredictions
    data: str
    calibration: Calibration | None


def score(one: Record, config: Config, out: Console, missing: list[str]) -> ScoredRun | None:
    """Restores the model of a run and classifies the held-out images.

    Returns:
      None where it cannot be done; the reason is then added to `missing`.
    """
    try:
        checkpoint, tensors = trained.choose(RunFolder(one.path), config.checkpoint)
        model = trained.load(checkpoint, tensors, config.weights)
        examples, indices, training = _data(one, checkpoint, config, out)
        with convolving(config, checkpoint):
            calibrated = calibration.of(checkpoint, config.weights, out)
            temperature = calibration.temperature(calibrated)
            ask = accuracy.compiled(model)
            answers = classify(config, checkpoint, ask, examples, indices, temperature)
    except DataError as error:
        missing.append(
            f"{one.name}: nothing of the model on pictures: {error}; --train_data_path says where "
            "the training data are now, --test_data_path which others to take"
        )
        return None
    except Fault as fault:
        missing.append(f"{one.name}: nothing of the model on pictures: {fault}")
        return None
    if not np.isfinite(answers.probabilities).all():
        missing.append(f"{one.name}: some answers of the model are not finite numbers")
        return None
    name = data.absolute_path(config.test_data_path) or "validation part"
    if training is None and (
        count := leaks.trained_on(RunFolder(one.path), examples, indices, out)
    ):
        name += f": {leaks.words_of(count, len(indices))}"
    return ScoredRun(
        checkpoint, tensors, model, examples, indices, training, answers, name, calibrated
    )


def classify(
    config: Config,
    checkpoint: Checkpoint,
    ask: Callable[[tf.Tensor], tf.Tensor],
    examples: Examples,
    indices: np.ndarray,
    temperature: float = 1.0,
) -> Predictions | SetPredictions:
    """Classifies some of the examples, prepared as the evaluation of that training prepares them.

    Args:
      config: The settings of the report.
      checkpoint: A checkpoint of the run.
      ask: From images to logits, made by `accuracy.compiled`.
      examples: The data.
      indices: The examples to classify.
      temperature: By which the logits are divided.
    """
    identity = checkpoint.state["identity"]
    several = multilabel.is_of(identity)
    return accuracy.predict(
        ask,
        trained.probabilities(checkpoint, temperature),
        examples,
        indices,
        spec.preprocessing(identity),
        batch_size=config.batch_size,
        thresholds=multilabel.thresholds(config, checkpoint)[0] if several else None,
    )


def _data(
    one: Record, checkpoint: Checkpoint, config: Config, out: Console
) -> tuple[Examples, np.ndarray, np.ndarray | None]:
    """The examples, the indices of those to classify, and of those that were trained on."""
    folder, training = RunFolder(one.path), None
    if config.test_data_path:
        examples, held_out = data.held_out(config, folder, checkpoint, out)
    else:
        accepting = data.accepting_bad_files(config, folder)
        examples, training, held_out = data.of_run(accepting, folder, checkpoint, out)
    return examples, data.sample(held_out, config.num_examples or len(held_out)), training
