"""Prediction: classifies pictures by a checkpoint of a run, into a file of answers."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config import settings
from hw2.config.settings import Config
from hw2.errors import DataError, UsageError
from hw2.input import pipeline
from hw2.input.files.levels import Scale
from hw2.input.sources import unlabelled
from hw2.input.sources.unlabelled import Pictures
from hw2.jobs import answers as answer
from hw2.jobs import calibration, data, explain, multilabel, pretrained, rejection, tta
from hw2.jobs import model as trained
from hw2.jobs.answer_sets import SetForm, SetTally, check_header
from hw2.jobs.answers import Answer, Form
from hw2.jobs.convolution import convolving
from hw2.jobs.guess import Guesser, guesser
from hw2.jobs.spec import preprocessing
from hw2.jobs.tally import LISTED, Tally
from hw2.machines import failures
from hw2.models.weights.fetch import PACKAGES
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.terminal import console, progress_bar
from hw2.training.rejection import rejected


@failures.check_device_errors()
def predict(config: Config) -> None:
    """Classifies pictures by a run's checkpoint, writes a file, and prints one JSON line.

    Args:
      config: The settings.

    Raises:
      Fault: Something outside the program is wrong; the message has a remedy. Bad pictures raise
        one only after the file is written, and none if `on_bad_file` is skip.
    """
    started = time.perf_counter()
    out = console.stderr()
    config, untrained = _without_training(config)
    if not config.data:
        raise UsageError("--data must name the pictures, got nothing; give a folder, or one file")
    answer.check(config.output, overwrite=config.overwrite)
    explain.check(config.explain, config.data, config.output, overwrite=config.overwrite)
    header, lines = _header_and_lines(config)
    calibrated = None
    if untrained:
        if config.reject_by == "distance":
            raise UsageError(
                f"--reject_by must be probability with --model={config.model}, got distance, "
                "which is fitted to the training pictures of a run"
            )
        checkpoint, tensors = pretrained.checkpoint(config.model)
    else:
        folder = run_folder.find(Path(config.checkpoint_dir or settings.run_folder(config)))
        checkpoint, tensors = trained.choose(folder, config.checkpoint)
        calibrated = calibration.of(checkpoint, config.weights, out, config.tta)
    temperature = calibration.temperature(calibrated)
    class_names, scale = data.class_names_and_scale(checkpoint)
    guesses = _guesses(config, header, len(class_names))
    several = multilabel.is_of(checkpoint.state["identity"])
    if several:
        guesses = len(class_names)
        check_header(header)
    found = pictures(data.as_trained(config, checkpoint), class_names, scale, several, out)
    if header or config.ids == "stem":  # else rows are told apart by their order
        answer.check_ids(found.names, config.ids, config.data)
    chosen = rejection.of(config, checkpoint, tensors, calibrated, out)
    options: dict[str, Any] = dict(
        lines=lines, header=header, ids=config.ids, answer=config.answer, raw=config.raw
    )
    form: Form | SetForm
    tally: Tally | SetTally
    if several:
        cuts, words = multilabel.thresholds(config, checkpoint)
        out.print(f"  thresholds: {words}", style="dim")
        labels = found.labels if found.several else None
        form = SetForm(class_names, cuts, labels, **options)
        tally = SetTally(cuts, labels, LISTED)
    else:
        labelled = bool((found.labels >= 0).any())
        options |= {"labelled": labelled, "rejecting": chosen.choice is not None}
        options["distances"] = chosen.distance is not None
        form, tally = Form(class_names, guesses, **options), Tally(guesses)
    if not untrained:
        tta.warn(config.tta, checkpoint.state["identity"], out)
    model = trained.load(checkpoint, tensors, config.weights)
    guess = guesser(model, checkpoint, guesses, config.tta, temperature, chosen.distance)
    with (
        convolving(config, checkpoint),
        progress_bar.reporting(f"classifying {config.data}", out) as report,
        answer.opened(config.output) as file,
        explain.opened(config.explain, model, checkpoint, found) as explainer,
    ):
        write = form.write(file)
        guess = explainer.watching(guess) if explainer else guess
        for one in answers(
            found, checkpoint, guess, batch_size=config.batch_size, threshold=chosen.threshold
        ):
            write(one)
            tally.add(one)
            if explainer:
                explainer.write(one)
            report(one.number + 1, len(found))
    result = tally.plain() | {
        "weights": config.weights,
        "tta": config.tta,
        "step": checkpoint.step,
        "temperature": temperature,
        **chosen.plain(),
        **({"num_rejected": tally.rejected} if chosen.choice else {}),
        "data": data.absolute_path(config.data),
        "output": config.output,
        **({"explain": config.explain, "num_explained": explainer.count} if explainer else {}),
        "seconds": round(time.perf_counter() - started, 1),
    }
    _tell(tally, result, config, out)


def answers(
    found: Pictures,
    checkpoint: Checkpoint,
    guess: Guesser,
    *,
    batch_size: int,
    threshold: float = -math.inf,
) -> Iterator[Answer]:
    """Classifies pictures in their order, a batch at a time, preprocessed as in evaluation.

    The answer for a picture that cannot be read holds the error. A picture whose confidence is
    below `threshold` is rejected.
    """
    spec = checkpoint.state["identity"]
    errors: dict[int, str] = {}
    examples = found.forgiving(
        spec["class_names"], lambda index, error: errors.__setitem__(index, str(error))
    )
    batches = pipeline.evaluation_batches(
        examples,
        np.arange(len(found)),
        preprocessing(spec),
        batch_size=batch_size,
        cache_mb=0,
    )
    for batch, (images, _, weights) in enumerate(batches):
        values = (value.numpy() for value in guess(images))
        for row, (classes, probabilities, finite, sure) in enumerate(zip(*values, strict=True)):
            number = batch * batch_size + row
            if not weights[row]:
                return
            label = -1 if found.several else int(found.labels[number])
            one = Answer(number, found.names[number], label)
            if error := errors.pop(number, None):
                yield dataclasses.replace(one, error=error)
            elif not finite:
                yield dataclasses.replace(one, error="the model's answer is not finite")
            else:
                yield dataclasses.replace(
                    one,
                    guesses=classes.tolist(),
                    probabilities=probabilities.tolist(),
                    confidence=float(sure),
                    rejected=bool(rejected(sure, threshold)),
                )


def _without_training(config: Config) -> tuple[Config, bool]:
    """Whether fetched weights classify, instead of a run; the pictures are then the only word.

    The answers go to stdout if there is no other place for them.
    """
    if config.model not in PACKAGES or (config.data and config.checkpoint_dir):
        return config, False
    data = config.data or config.checkpoint_dir
    output = config.output or answer.STDOUT
    return dataclasses.replace(config, data=data, output=output), True


def _header_and_lines(config: Config) -> tuple[list[str], bool]:
    """The column names that the settings give, and whether to write JSON lines instead of CSV."""
    header = answer.columns(config.header)
    lines = config.form == "jsonl" or (
        config.form == "auto" and config.output.endswith(answer.LINES)
    )
    if lines and header:
        raise UsageError("--header must go with a CSV file, got JSON lines; give --form=csv")
    return header, lines


def _guesses(config: Config, header: Sequence[str], classes: int) -> int:
    """How many classes to guess for each picture: enough for the header and for top-k accuracy."""
    wanted = len(header) - 1 if header else config.top_k
    if header and wanted > classes:
        raise UsageError(
            f"--header must have at most {classes} answers, one for each class, got {wanted}"
        )
    return min(max(wanted, config.top_k), classes)


def pictures(
    config: Config, class_names: list[str], scale: Scale | None, several: bool, out: Console
) -> Pictures:
    """Finds the pictures, with their labels if they are of the kind that the model gives."""
    rules = dataclasses.replace(data.rules(config), scale=scale)
    with progress_bar.reporting(f"looking at {config.data}", out) as report:
        found = unlabelled.find_pictures(
            config.data, class_names, rules, part=config.part, report=report
        ).labelled_for(several)
    out.print(f"{config.data}: {len(found):,} pictures")
    for note in found.notes:
        out.print(f"  note: {note}", style="dim")
    return found


def _tell(tally: Tally | SetTally, result: dict[str, Any], config: Config, out: Console) -> None:
    words = f"{tally.good:,} pictures classified by step {result['step']}, {config.weights} weights"
    words += tta.in_words(config.tta)
    if tally.labelled:
        words += f": {tally.words()}"
        words += f" on {tally.labelled:,} with labels"
    if "num_rejected" in result:
        words += f"; {tally.rejected:,} rejected, {rejection.in_words(result)}"
        if "accepted_top1" in result:
            words += f", top-1 of the others {result['accepted_top1']:.4f}"
    if config.explain:
        words += f"; {result['num_explained']:,} heat maps in {config.explain}"
    to_file = config.output != answer.STDOUT
    out.print(words + (f"; {config.output}" if to_file else ""))
    if to_file:
        print(json.dumps(result), flush=True)
    tell_bad(tally, config, config.output, out)


def tell_bad(tally: Tally | SetTally, config: Config, output: str, out: Console) -> None:
    """Lists the pictures that have no answer, once the output is written.

    Raises:
      DataError: There are some, and `on_bad_file` is error.
    """
    if not tally.bad:
        return
    more = [f"and {tally.bad - LISTED} more"] if tally.bad > LISTED else []
    listed = "\n  ".join([*tally.errors, *more])
    count = f"{tally.bad} of {tally.bad + tally.good} have no answer"
    if config.on_bad_file == "error":
        raise DataError(
            f"bad pictures in {config.data} - {count}, all others are in {output}; replace "
            f"them, or --on_bad_file=skip:\n  {listed}"
        )
    out.print(f"bad pictures: {count}\n  {listed}")
