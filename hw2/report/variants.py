"""The accuracy of a run on training and held-out images, and by its other weights."""

from __future__ import annotations

import dataclasses
from typing import Any

from hw2.config.settings import Config
from hw2.errors import Fault
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.jobs.data import sample
from hw2.report import accuracy, scored
from hw2.report.accuracy import Predictions, share
from hw2.report.record import Record
from hw2.report.scored import ScoredRun
from hw2.report.sets import SetPredictions
from hw2.runs.folder import RunFolder

SAMPLE = 2000  # images for each figure beside the main one


def table(one: Record, run: ScoredRun, config: Config, missing: list[str]) -> list[dict[str, Any]]:
    """Compares training with held-out images, averaged with raw weights, the best with the last.

    Returns:
      A row for each; the first is the main figure of the page. Its losses are without the
      temperature, which is fitted to one of them only. What cannot be computed is left out, and
      the reason added to `missing`.
    """
    which = "last" if config.checkpoint == "last" else "best"
    answers = run.answers
    if isinstance(answers, Predictions):
        plain = trained.probabilities(run.checkpoint)(answers.logits).numpy()
        answers = dataclasses.replace(answers, probabilities=plain)
    main = _row(which, config.weights, run.data, run.checkpoint.step, answers)
    rows = [main]
    few = sample(run.indices, SAMPLE)
    variants = [("best", run.checkpoint, run.tensors, few, run.data)]
    try:
        last, of_last = trained.choose(RunFolder(one.path), "last")
        if last.step != run.checkpoint.step:
            variants.append(("last", last, of_last, few, run.data))
    except Fault as fault:
        missing.append(f"nothing of the last checkpoint: {fault}")
    if run.training is not None:
        seen = sample(run.training, SAMPLE)
        variants.append(("best", run.checkpoint, run.tensors, seen, "training part"))

    # One model takes all these weights in turn, so that it is traced only once.
    model = trained.build(run.checkpoint.state["identity"])
    ask = accuracy.compiled(model)
    for which, checkpoint, tensors, indices, data in variants:
        for weights in ("ema", "raw"):
            same = (checkpoint.step, weights, data) == (main["step"], config.weights, run.data)
            if same and len(indices) == len(run.indices):
                continue
            try:
                trained.restore_weights(model, checkpoint, tensors, weights)
                with convolving(config, checkpoint):
                    found = scored.classify(config, checkpoint, ask, run.examples, indices)
            except Fault as fault:
                missing.append(f"no figures of {which}, {weights}, {data}: {fault}")
                continue
            rows.append(_row(which, weights, data, checkpoint.step, found))
    return rows


def _row(
    which: str, weights: str, data: str, step: int, found: Predictions | SetPredictions
) -> dict[str, Any]:
    row = {
        "which": which,
        "weights": {"ema": "averaged", "raw": "raw"}[weights],
        "data": data,
        "step": step,
    }
    if isinstance(found, SetPredictions):
        return row | {"scores": found.scores}
    return row | {"top1": share(found.right), "loss": found.loss}
