"""Evaluation: scores the checkpoints of a run."""

from __future__ import annotations

import csv
import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import DataError, writing
from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.jobs import confidence, groups, leaks, multilabel, outcome, tta
from hw2.jobs import data as dataset
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.jobs.spec import Spec, preprocessing
from hw2.machines import failures
from hw2.runs import atomic, cells, checkpoints
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.terminal import console
from hw2.training import losses
from hw2.training.events import write_scalars
from hw2.training.losses import Loss
from hw2.training.metrics import Outputs, Scores, scorer
from hw2.training.multilabel import AnyScores, MultilabelScores
from hw2.training.multilabel import scorer as multilabel_scorer

FIGURES = ("loss", *outcome.FIGURES)  # drawn in TensorBoard
OF_SEVERAL = (  # columns of `per_class.csv` where pictures have several labels
    "class",
    "pictures",
    "guessed",
    "right",
    "average_precision",
    "precision",
    "recall",
    "f1",
    "threshold",
)


@failures.check_device_errors()
def evaluate(config: Config) -> None:
    """Scores a run's checkpoint, each picture once, and prints one JSON line.

    Args:
      config: The settings. Without `test_data_path`, the held-out part of the training data is
        scored; with `run_once` off, each new checkpoint, or new best one, is scored once as it
        appears.

    Raises:
      Fault: Something outside the program is wrong; the message has a remedy.
    """
    out = console.stderr()
    folder = run_folder.find(Path(config.checkpoint_dir or settings.run_folder(config)))
    which = config.checkpoint
    if which == "auto":
        which = "best" if config.run_once else "last"
    evaluator, scored = None, set()
    before: list[Path] | None = None
    while True:
        now = checkpoints.listing(folder.checkpoints)
        if config.run_once or (now and now != before):
            checkpoint, tensors = trained.choose(folder, which)
            key = (checkpoint.step, checkpoint.digest)
            if key not in scored:  # what is new may be damaged, or not be the best
                evaluator = evaluator or _evaluator(config, folder, checkpoint, out)
                cuts = None
                if multilabel.is_of(checkpoint.state["identity"]):
                    multilabel.check_sure(config, checkpoint)
                    cuts, words = multilabel.thresholds(config, checkpoint)
                    out.print(f"  thresholds: {words}", style="dim")
                with convolving(config, checkpoint):
                    scores = evaluator(checkpoint, tensors, config.weights, cuts)
                    more: Mapping[str, float | int | str] = {}
                    if cuts is None:
                        found = evaluator.outputs
                        more = confidence.figures(
                            config, checkpoint, tensors, found, evaluator.batches, out
                        )
                _record(config, folder, checkpoint, scores, more, evaluator, out)
                scored.add(key)
        elif before is None:
            out.print(f"waiting for the first checkpoint of {folder.path}")
        before = now
        if config.run_once:
            return
        time.sleep(config.eval_interval_secs)


class Evaluator:
    """Scores checkpoints of a run on a data set; builds and traces the model once.

    Attributes:
      skipped: The bad pictures of the data, and the reasons.
      trained_on: How many of the others the run was trained on.
      outputs: Labels and logits of the last evaluation.
      batches: The pictures, which may be gone through any number of times.
    """

    def __init__(
        self,
        spec: Spec,
        examples: Examples,
        indices: np.ndarray,
        batch_size: int,
        k: int,
        loss: Loss,
        *,
        trained_on: int = 0,
        augmentation: str = "none",
    ):
        """Builds the model.

        Args:
          spec: The spec of the training.
          examples: The data.
          indices: The examples to score by.
          batch_size: Pictures at a time.
          k: For the top-k accuracy.
          loss: Loss of each example.
          trained_on: How many of these the run was trained on, for the results.
          augmentation: That of the test, as `--tta` names it.
        """
        self.skipped, self.trained_on = examples.skipped, trained_on
        self.outputs = Outputs()
        self._model = trained.build(spec)
        self._several = multilabel.is_of(spec)
        make: Any = multilabel_scorer if self._several else scorer
        self._score, self._k = make(tta.augmented(self._model, augmentation), loss), k
        self.batches = pipeline.evaluation_batches(
            examples, indices, preprocessing(spec), batch_size=batch_size, cache_mb=0
        )

    def __call__(
        self,
        checkpoint: Checkpoint,
        tensors: Mapping[str, np.ndarray],
        weights: str,
        thresholds: Sequence[float] | None = None,
    ) -> AnyScores:
        """Scores a checkpoint.

        Args:
          checkpoint: The checkpoint.
          tensors: Its tensors.
          weights: "ema" or "raw".
          thresholds: Of each class, where pictures have several labels.
        """
        trained.restore_weights(self._model, checkpoint, tensors, weights)
        self.outputs = Outputs()
        with pipeline.naming_errors():
            if self._several:
                return self._score(self.batches, thresholds)
            return self._score(self.batches, self._k, keep=self.outputs.add)


def _evaluator(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, out: Console
) -> Evaluator:
    spec = checkpoint.state["identity"]
    examples, indices = dataset.held_out(config, folder, checkpoint, out)
    if config.num_examples > len(indices):
        raise DataError(
            f"too few pictures in {config.test_data_path or folder.split} - "
            f"--num_examples={config.num_examples}, there are {len(indices)}; "
            "give at most that, or 0 for all"
        )
    if config.num_examples:  # a fair sample, since folders are in the order of their classes
        indices = np.random.default_rng(0).permutation(indices)[: config.num_examples]
    k = min(config.top_k, len(spec["class_names"]))
    known_settings = checkpoint.state["settings"]
    if multilabel.is_of(spec):
        loss = losses.multilabel(
            known_settings.get("loss", "binary"),
            focal_gamma=known_settings.get("focal_gamma", config.focal_gamma),
        )
        multilabel.check_labels(examples, indices, config.test_data_path or "the validation part")
    else:
        loss = losses.named(
            known_settings.get("loss", "cross_entropy"),
            focal_gamma=known_settings.get("focal_gamma", config.focal_gamma),
        )
    known = 0
    if config.test_data_path:
        known = leaks.trained_on(folder, examples, indices, out)
        place = dataset.place_of(config, folder, checkpoint)
        placed = dataclasses.replace(config, train_data_path=place)
        groups.warn(placed, folder, spec.get("group_by", ""), examples, out)
    tta.warn(config.tta, spec, out)
    return Evaluator(
        spec,
        examples,
        indices,
        config.batch_size,
        k,
        loss,
        trained_on=known,
        augmentation=config.tta,
    )


def _record(
    config: Config,
    folder: RunFolder,
    checkpoint: Checkpoint,
    scores: AnyScores,
    more: Mapping[str, float | int | str],
    evaluator: Evaluator,
    out: Console,
) -> None:
    """Prints an evaluation, appends it to `eval.jsonl`, and draws it in TensorBoard."""
    data = dataset.absolute_path(config.test_data_path) or "validation"
    result: dict[str, Any] = scores.plain()
    if isinstance(scores, Scores):
        result["mean_class_top1"] = scores.balanced_accuracy  # its name of before
    result |= {
        "weights": config.weights,
        "tta": config.tta,
        "step": checkpoint.step,
        "data": data,
        "num_bad": len(evaluator.skipped),
        "num_trained_on": evaluator.trained_on,
        **more,
    }
    skipped = evaluator.skipped
    bad = f"; bad ones, named in bad.csv and not counted: {len(skipped)}" if skipped else ""
    flips = tta.in_words(config.tta)
    out.print(
        f"step {checkpoint.step}, {config.weights} weights{flips}, {data}: "
        f"{scores.words}, loss {scores.loss:.4f} on {scores.num_examples} pictures{bad}"
    )
    for words in confidence.in_words(more):
        out.print(f"  {words}")
    path = Path(config.eval_dir or folder.path / "eval")
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        with (path / "eval.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")
        names = [
            cells.safe(name, raw=config.raw) for name in checkpoint.state["identity"]["class_names"]
        ]
        _write_classes(path / "per_class.csv", names, scores)
        dataset.write_skipped(path / "bad.csv", skipped, raw=config.raw)
    part = "test" if config.test_data_path else "validation"
    figures = {name: getattr(scores, name, None) for name in FIGURES}
    figures = {name: value for name, value in figures.items() if value is not None}
    write_scalars(path, checkpoint.step, {f"{part}/{n}": v for n, v in figures.items()})
    print(json.dumps(result), flush=True)


def _write_classes(file: Path, names: Sequence[str], scores: AnyScores) -> None:
    """Writes the results of each class, replacing those of the evaluation before."""
    with atomic.opened(file) as new:
        rows = csv.writer(new)
        if isinstance(scores, MultilabelScores):
            rows.writerow(OF_SEVERAL)
            for name, one in zip(names, scores.by_class, strict=True):
                ap = "" if one.average_precision is None else one.average_precision
                counts = one.pictures, one.guessed, one.right
                rows.writerow((name, *counts, ap, one.precision, one.recall, one.f1, one.threshold))
            return
        rows.writerow(("class", "pictures", "right", "top1"))
        for name, (right, count) in zip(names, scores.by_class, strict=True):
            rows.writerow((name, count, right, right / count if count else ""))
