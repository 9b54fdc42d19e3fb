"""The temperature of a run, and what thresholds accept: fitted to its held-out images."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import DataError, RunError
from hw2.input import pipeline
from hw2.jobs import data, multilabel, tta
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.jobs.spec import preprocessing
from hw2.machines import failures
from hw2.runs import calibration as stored
from hw2.runs import folder as run_folder
from hw2.runs.calibration import Calibration
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.terminal import console, progress_bar
from hw2.training import calibration, metrics, rejection
from hw2.training.metrics import Outputs


@failures.check_device_errors()
def calibrate(config: Config) -> None:
    """Fits the temperature of a run to its held-out images, writes it, prints one JSON line.

    Args:
      config: The settings.

    Raises:
      Fault: Something outside the program is wrong; the message has a remedy.
    """
    started, out = time.perf_counter(), console.stderr()
    folder = run_folder.find(Path(config.checkpoint_dir or settings.run_folder(config)))
    checkpoint, tensors = trained.choose(folder, config.checkpoint)
    if checkpoint.state["identity"].get("overfit_batches"):
        raise RunError(
            f"no calibration of {folder.path} - it was trained with --overfit_batches, which "
            "validates on the images that it trains on; train without"
        )
    if multilabel.is_of(checkpoint.state["identity"]):
        raise RunError(
            f"no calibration of {folder.path} - its pictures have several labels, and a "
            "temperature is of one label a picture; the run has a threshold for each class"
        )
    examples, _, held_out = data.of_run(config, folder, checkpoint, out)
    if not len(held_out):
        raise DataError(f"no validation pictures in {folder.split} - there is nothing to fit to")
    tta.warn(config.tta, checkpoint.state["identity"], out)
    model = tta.augmented(trained.load(checkpoint, tensors, config.weights), config.tta)
    batches = pipeline.evaluation_batches(
        examples,
        held_out,
        preprocessing(checkpoint.state["identity"]),
        batch_size=config.batch_size,
        cache_mb=0,
    )
    outputs = Outputs()
    with (
        convolving(config, checkpoint),
        pipeline.naming_errors(),
        progress_bar.reporting("calibrating", out) as report,
    ):

        def keep(labels: np.ndarray, logits: np.ndarray) -> None:
            outputs.add(labels, logits)
            report(len(outputs.labels), len(held_out))

        metrics.scorer(model)(batches, 1, keep=keep)
    found = fit(outputs, checkpoint, config.weights, config.tta)
    path = stored.write(folder, found)
    flips = tta.in_words(found.tta)
    out.print(f"step {found.step}, {found.weights} weights{flips}: {in_words(found)}; {path}")
    result = {"calibration": str(path)} | figures(found)
    result["seconds"] = round(time.perf_counter() - started, 1)
    print(json.dumps(result), flush=True)


def fit(
    outputs: Outputs, checkpoint: Checkpoint, weights: str, augmentation: str = "none"
) -> Calibration:
    """Fits a temperature, and lists what thresholds accept with it.

    Args:
      outputs: The logits of held-out images.
      checkpoint: What gave them.
      weights: "ema" or "raw".
      augmentation: That of the test, as `--tta` names it.

    Raises:
      RunError: A logit is not finite.
    """
    labels, logits = outputs.labels, outputs.logits
    if not np.isfinite(logits).all():
        raise RunError(
            f"no calibration of {checkpoint.path} - some of its answers are not finite; "
            "choose another --checkpoint"
        )
    binary = trained.is_binary(checkpoint)
    temperature = calibration.fit(logits, labels, binary=binary)
    right = logits.argmax(1) == labels
    before, after = (
        calibration.probabilities(logits, value, binary=binary).max(1) for value in (1, temperature)
    )
    return Calibration(
        step=checkpoint.step,
        digest=checkpoint.digest,
        weights=weights,
        temperature=temperature,
        num_examples=len(labels),
        loss_before=calibration.loss(logits, labels, binary=binary),
        loss_after=calibration.loss(logits, labels, temperature, binary=binary),
        ece_before=calibration.error(before, right),
        ece_after=calibration.error(after, right),
        curve=tuple((t, accepted, wrong) for t, accepted, wrong in rejection.curve(after, right)),
        tta=augmentation,
    )


def of(
    checkpoint: Checkpoint, weights: str, out: Console | None = None, augmentation: str = "none"
) -> Calibration | None:
    """The calibration of a checkpoint's run, if there is one and it belongs to these weights.

    One of another test-time augmentation is applied too, with a note: its temperature is nearer
    than 1 is.

    Args:
      checkpoint: The checkpoint whose model answers.
      weights: "ema" or "raw".
      out: Where people read that the run's calibration belongs to other weights, or to another
        test-time augmentation.
      augmentation: That of the test, as `--tta` names it.

    Raises:
      RunError: `calibration.json` is damaged.
    """
    folder = RunFolder(checkpoint.path.parents[1])
    found = stored.read(folder)
    if found is None or found.fits(checkpoint, weights):
        if out and found and found.tta != augmentation:
            out.print(
                f"  note: the temperature is that of --tta={found.tta}, and only near to that of "
                f"--tta={augmentation}; hw2 calibrate RUN --tta={augmentation} fits one for it",
                style="dim",
            )
        return found
    if out:
        out.print(
            f"  note: {folder.path / run_folder.CALIBRATION} is of step {found.step}, "
            f"{found.weights} weights, so it is not applied to step {checkpoint.step}, {weights} "
            "weights; hw2 calibrate makes one for them",
            style="dim",
        )
    return None


def temperature(found: Calibration | None) -> float:
    """By which logits are divided: 1 without a calibration."""
    return found.temperature if found else 1.0


def in_words(found: Calibration) -> str:
    """What was fitted, in a sentence."""
    words = (
        f"temperature {found.temperature:.3f}, calibration error {found.ece_before:.4f} before "
        f"and {found.ece_after:.4f} after, on {found.num_examples:,} validation pictures"
    )
    low, high = calibration.LIMITS
    if not 1.01 * low < found.temperature < high / 1.01:
        words += f"; a temperature between {low:g} and {high:g} is not enough for this model"
    return words


def figures(found: Calibration) -> dict[str, float | int | str]:
    """What was fitted, as plain JSON."""
    names = ("step", "weights", "tta", "temperature", "num_examples", "loss_before", "loss_after")
    return {name: getattr(found, name) for name in (*names, "ece_before", "ece_after")}
