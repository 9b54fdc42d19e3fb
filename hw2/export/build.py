"""From a run folder to a file that is known to classify as prediction does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import UsageError, writing
from hw2.export import agreement, litert, onnx, samples, saved_model
from hw2.export.classifier import Answer, Classifier
from hw2.export.samples import Picture
from hw2.jobs import calibration, data, distance, multilabel, rejection, spec, tta
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.jobs.guess import Guesser, guesser
from hw2.jobs.rejection import Rejection
from hw2.machines import failures
from hw2.runs import atomic
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.terminal import console, noise

CHECKED = 100  # images that must agree
SAMPLES = 200  # training images that show int8 its ranges
SCORED = 1000  # images on which int8 is compared with float32, at most
NAMES = {"saved_model": "saved_model", "litert": "model.tflite", "onnx": "model.onnx"}


@failures.check_device_errors()
def export(run: str, config: Config) -> None:
    """Writes the file, once it agrees with prediction, and prints one JSON line.

    Args:
      run: The run folder.
      config: The settings, as for evaluation, and `format`, `int8`, `output` and `overwrite`. With
        `int8` agreement is measured and printed, but not required.

    Raises:
      Fault: With what is wrong and what to do; nothing is written then.
    """
    started = time.perf_counter()
    out = console.stderr()

    # Where to: mistakes are found before anything takes time.
    _check_format(config)
    folder = run_folder.find(Path(run), "RUN")
    path = _output(config, folder)

    # What: the model, with all that comes before and after it.
    checkpoint, tensors = trained.choose(folder, config.checkpoint)
    model = trained.load(checkpoint, tensors, config.weights)
    calibrated = calibration.of(checkpoint, config.weights, out, config.tta)
    temperature = calibration.temperature(calibrated)
    chosen = rejection.of(config, checkpoint, tensors, calibrated, out)
    tta.warn(config.tta, checkpoint.state["identity"], out)
    class_names = checkpoint.state["identity"]["class_names"]
    cuts: list[float] | None = None
    if multilabel.is_of(checkpoint.state["identity"]):
        cuts, words = multilabel.thresholds(config, checkpoint)
        out.print(f"  thresholds: {words}", style="dim")
    viewed = tta.augmented(model, config.tta)
    classifier = Classifier(
        viewed,
        [os.fsencode(name) for name in class_names],
        spec.preprocessing(checkpoint.state["identity"]),
        trained.probabilities(checkpoint, temperature),
        max_pixels=config.max_pixels,
        thresholds=cuts,
        measuring=distance.measuring(viewed, checkpoint.path, chosen.distance),
    )

    # Against what: held-out images with the answers of prediction, and for int8 images of the
    # training, whose activations set the ranges of the 8 bits.
    with convolving(config, checkpoint):  # as the run was trained
        guess = guesser(
            model, checkpoint, len(class_names), config.tta, temperature, chosen.distance
        )
        compared = _compared(config, folder, checkpoint, classifier, guess, chosen, out)
        seen = _trained_on(config, folder, checkpoint, classifier, out) if config.int8 else ()

        # The file gets its name only once it was loaded again and agrees.
        facts = {"class_names": class_names, "temperature": temperature}
        facts |= chosen.plain()
        if cuts is not None:
            facts = {"class_names": class_names, "thresholds": cuts}
        about = {name: json.dumps(value) for name, value in facts.items()}
        with writing(path, "make room, or give another --output"):
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic.replacing(path) as partial:
                with noise.without_noise():
                    classify = _write(config.format, classifier, partial, about, seen)
                    answers = [classify(picture.given) for picture in compared]
                found = [answer.probabilities for answer in answers]
                far = [answer.distance for answer in answers]
                measured = agreement.measure(compared, found, cuts)
                measured |= agreement.measure_distances(compared, far, chosen.threshold)
                if config.int8:
                    measured |= agreement.int8_cost(compared, found, cuts)
                else:
                    agreement.check(compared, found, path, cuts)
                    agreement.check_distances(compared, far, path)

    # What came of it, for people and for programs.
    size = sum(f.stat().st_size for f in ([path] if path.is_file() else path.rglob("*")))
    result = {"output": str(path), "format": config.format, "step": checkpoint.step}
    result |= {"weights": config.weights, "tta": config.tta, "temperature": temperature}
    result |= chosen.plain()
    result |= {"bytes": size, "checked": len(compared), **measured}
    result["seconds"] = round(time.perf_counter() - started, 1)
    agreement.show(result, out)
    print(json.dumps(result), flush=True)


def _check_format(config: Config) -> None:
    if config.int8 and config.format != "litert":
        raise UsageError(f"--int8 must go with --format=litert, got {config.format}")
    if config.int8 and config.reject_by == "distance":
        raise UsageError(
            "--reject_by must be probability with --int8, got distance: 8 bits round the features, "
            "and the threshold would reject other pictures; export without --int8"
        )
    if config.format == "onnx":
        onnx.check()


def _output(config: Config, folder: RunFolder) -> Path:
    """Where to write; refuses to replace anything but an export, and that without --overwrite."""
    name = NAMES[config.format]
    if config.int8:
        name = name.replace("model", "model-int8")
    path = Path(config.output) if config.output else folder.path / name
    if os.path.lexists(path) and not config.overwrite:
        raise UsageError(f"cannot write {path} - it is there already; --overwrite, or --output")
    ours = config.format == "saved_model" and (path / "saved_model.pb").is_file()
    if path.is_dir() and not ours:
        raise UsageError(
            f"cannot write {path} - a folder that is no such export; give another --output"
        )
    return path


def _compared(
    config: Config,
    folder: RunFolder,
    checkpoint: Checkpoint,
    classifier: Classifier,
    guess: Guesser,
    chosen: Rejection,
    out: Console,
) -> list[Picture]:
    """Held-out images, each with the answer of prediction."""
    examples, held_out = data.held_out(config, folder, checkpoint, out)
    with noise.without_noise():
        inputs, refused = samples.choose(
            examples,
            held_out,
            SCORED if config.int8 else CHECKED,
            classifier,
            files=config.format == "saved_model",
        )
        found = samples.predicted(
            examples,
            inputs,
            checkpoint,
            guess,
            config.batch_size,
            by_distance=chosen.distance is not None,
        )
    for words, count in refused.items():
        out.print(f"  note: {count} of the pictures held out are left aside: {words}")
    return found


def _trained_on(
    config: Config,
    folder: RunFolder,
    checkpoint: Checkpoint,
    classifier: Classifier,
    out: Console,
) -> Sequence[np.ndarray]:
    """Images that the run was trained on."""
    examples, training, _ = data.of_run(config, folder, checkpoint, out)
    with noise.without_noise():
        inputs, _ = samples.choose(examples, training, SAMPLES, classifier)
    return [pixels for pixels in inputs.values() if not isinstance(pixels, bytes)]


def _write(
    form: str,
    classifier: Classifier,
    path: Path,
    about: dict[str, str],
    trained_on: Sequence[np.ndarray],
) -> Callable[[Any], Answer]:
    """Writes the export and loads it again; returns what classifies an image by it."""
    if form == "saved_model":
        saved_model.write(classifier, path, about)
        return saved_model.load(path, classifier)
    if form == "onnx":
        onnx.write(classifier, path, about)
        return onnx.load(path)
    litert.write(classifier, path, about, trained_on)
    return litert.load(path)
