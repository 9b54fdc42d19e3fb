"""Features: what the last layer of a model is given for each picture, as an array and a list."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import UsageError, writing
from hw2.input.sources.unlabelled import Pictures
from hw2.jobs import answers as answer
from hw2.jobs import calibration, data, multilabel, predict
from hw2.jobs import model as trained
from hw2.jobs.answers import Answer
from hw2.jobs.convolution import convolving
from hw2.jobs.extractor import extractor
from hw2.jobs.guess import Guess
from hw2.jobs.tally import Tally
from hw2.machines import failures
from hw2.runs import atomic, cells
from hw2.runs import folder as run_folder
from hw2.terminal import console, progress_bar

SUFFIXES = (".npz", ".npy")


@failures.check_device_errors()
def embed(config: Config) -> None:
    """Writes the features of pictures by a run's checkpoint, and prints one JSON line.

    Args:
      config: The settings.

    Raises:
      Fault: Something outside the program is wrong; the message has a remedy. Bad pictures raise
        one only after the files are written, and none if `on_bad_file` is skip.
    """
    started = time.perf_counter()
    out = console.stderr()
    array, table = _outputs(config)
    if not config.data:
        raise UsageError("--data must name the pictures, got nothing; give a folder, or one file")
    if config.tta != "none":
        raise UsageError(f"--tta must be none for features, got {config.tta}; leave it out")
    folder = run_folder.find(Path(config.checkpoint_dir or settings.run_folder(config)))
    checkpoint, tensors = trained.choose(folder, config.checkpoint)
    temperature = calibration.temperature(calibration.of(checkpoint, config.weights, out))
    class_names, scale = data.class_names_and_scale(checkpoint)
    several = multilabel.is_of(checkpoint.state["identity"])
    compute = extractor(trained.load(checkpoint, tensors, config.weights), checkpoint.path)
    found = predict.pictures(data.as_trained(config, checkpoint), class_names, scale, several, out)
    probabilities = trained.probabilities(checkpoint, temperature)
    batches: list[np.ndarray] = []

    @tf.function(autograph=False)
    def classify(images: tf.Tensor) -> tuple[tf.Tensor, Guess]:
        features, logits = compute(images)
        classes = tf.math.top_k(logits, 1).indices  # [N, 1]
        best = tf.gather(probabilities(logits), classes, batch_dims=1)
        finite = tf.reduce_all(tf.math.is_finite(logits), 1)
        return features, Guess(classes, best, finite, best[:, 0])

    def guess(images: tf.Tensor) -> Guess:
        features, found = classify(images)
        batches.append(features.numpy())
        return found

    tally, rows = Tally(1), []
    with (
        convolving(config, checkpoint),
        progress_bar.reporting(f"features of {config.data}", out) as report,
    ):
        for one in predict.answers(found, checkpoint, guess, batch_size=config.batch_size):
            rows.append(one)
            tally.add(one)
            report(one.number + 1, len(found))
    features = np.concatenate(batches)[: len(found)].astype(np.float32)  # [N, F]
    features[[bool(one.error) for one in rows]] = np.nan
    with writing(str(array), "make room or mend the folder, and start again"):
        _save(array, features, found.names)
        _list(table, rows, found, class_names, raw=config.raw)
    result = tally.plain() | {
        "features": features.shape[1],
        "weights": config.weights,
        "step": checkpoint.step,
        "data": data.absolute_path(config.data),
        "output": str(array),
        "list": str(table),
        "seconds": round(time.perf_counter() - started, 1),
    }
    out.print(f"{len(rows):,} pictures, {features.shape[1]:,} features each; {array}, {table}")
    print(json.dumps(result), flush=True)
    predict.tell_bad(tally, config, str(array), out)


def _outputs(config: Config) -> tuple[Path, Path]:
    """The paths of the array and of the list beside it; refuses what could not be written."""
    array = Path(config.output)
    if array.suffix not in SUFFIXES:
        got = config.output or "nothing"
        raise UsageError(f"--output must end in .npz or .npy, got {got}; give features.npz")
    for path in (array, array.with_suffix(".csv")):
        answer.check(str(path), overwrite=config.overwrite)
    return array, array.with_suffix(".csv")


def _save(path: Path, features: np.ndarray, names: Sequence[str]) -> None:
    with atomic.replacing(path) as partial, partial.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, features)
        else:
            np.savez(file, features=features, names=np.array(names, np.str_))


def _list(
    path: Path, rows: Sequence[Answer], found: Pictures, class_names: Sequence[str], *, raw: bool
) -> None:
    """Writes name, label, answer, probability and error of every row of the array."""
    with atomic.opened(path) as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["name", "label", "answer", "probability", "error"])
        for one in rows:
            label = class_names[one.label] if one.label >= 0 else ""
            if found.several:
                present = np.flatnonzero(found.labels[one.number])
                label = ";".join(class_names[number] for number in present.tolist())
            given = class_names[one.guesses[0]] if one.guesses else ""
            probability = f"{one.probabilities[0]:.6g}" if one.guesses else ""
            row = [one.name, label, given, probability, one.error]
            lines.writerow([cells.safe(cell, raw=raw) for cell in row])
