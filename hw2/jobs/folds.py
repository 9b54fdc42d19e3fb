"""Several trainings of one data set: one for each fold, or one for each of several seeds."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config import settings
from hw2.config.rules import SEED
from hw2.config.settings import FIELDS, Config
from hw2.errors import DataError, RunError, UsageError, writing
from hw2.input import folds as drawing
from hw2.input import groups as grouping
from hw2.input import split
from hw2.input.examples import Examples
from hw2.input.files.names import shown
from hw2.jobs import data, groups, held_out, prepare, spec, suspects, train
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.jobs.held_out import HeldOut
from hw2.jobs.suspects import Suspect
from hw2.machines import devices, failures
from hw2.runs import atomic, cells, lock
from hw2.runs.folder import RunFolder
from hw2.terminal import console
from hw2.training import calibration, metrics, rejection, trackers

FLAGS = "folds.cfg"
RESULT = "folds.json"
ANSWERS = "folds.csv"
SUSPECTS = "suspects.csv"
SPLITS = "splits"
COVERAGE = 0.9  # of the threshold that each training is described by
ERRORS = (0.01, 0.02, 0.05)  # for which a threshold is chosen over all folds
# Settings that make sense for a single training only.
SINGLE = ("find_rate", "dry_run", "overfit_batches", "fresh", "accept_new_data")
# Settings that change nothing of what is learned or answered, and so may change between starts. A
# preset of augmentation is a name for other settings.
FREE = frozenset(
    (
        *("train_data_path", "test_data_path", "disk_cache", "cache_mb", "threads", "num_gpus"),
        *("logical_devices", "log_frequency", "tensorboard", "histogram_steps", "tracker"),
        *("keep_checkpoints", "keep_every", "on_save_error", "num_examples", "top_k", "run_once"),
        *("eval_interval_secs", "reject_below", "augmentation"),
    )
)


@dataclasses.dataclass(frozen=True)
class Member:
    """One of the trainings.

    Attributes:
      name: "fold-1" or "seed-0", also the name of its run folder.
      seed: Of its weights, its order and all else but the split.
      training: `[T]`, indices of the images that it is trained on.
      held_out: `[V]`, indices of those that it is not.
    """

    name: str
    seed: int
    training: np.ndarray
    held_out: np.ndarray


@dataclasses.dataclass(frozen=True)
class Found:
    """What the trainings have found together.

    Attributes:
      config: The settings.
      folder: Where the run folders are.
      examples: The data.
      members: The trainings.
      result: What `folds.json` says.
      fold_of: `[N]`, the member that held each image out; None for seeds.
      probabilities: `[N, classes]`, each row by the model that held the image out; None for seeds.
      suspects: Labels that are likely to be wrong; None for seeds, and without cleanlab.
    """

    config: Config
    folder: Path
    examples: Examples
    members: Sequence[Member]
    result: dict[str, Any]
    fold_of: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    suspects: Sequence[Suspect] | None = None


@failures.check_device_errors()
def run(config: Config, *, folds: int, seeds: int) -> Found:
    """Trains once for each fold or seed, or resumes, and writes what they find together.

    Args:
      config: The settings of each training.
      folds: How many folds, unless there are seeds.
      seeds: How many seeds, all with one split; 0 for folds.

    Raises:
      Fault: Something outside the program is wrong; the message has a remedy.
      Interrupted: A signal has stopped a training, after a checkpoint was written.
    """
    out = console.stderr()
    config = settings.absolute(config)

    # 1. What is asked, before anything is read or written.
    _check(config, seeds)
    spec.check_model(config)
    trackers.check(config.tracker)
    devices.configure(threads=config.threads, deterministic=config.deterministic)
    if not seeds and not suspects.available():
        out.print(f"  note: {suspects.MISSING}", style="dim")

    # 2. The data and its parts, which must be those of an earlier start in this folder.
    examples, test = prepare.read_data(config, out)
    members = (
        _of_seeds(config, seeds, examples, out)
        if seeds
        else _of_folds(config, folds, examples, out)
    )
    kind, count = ("seeds", seeds) if seeds else ("folds", folds)
    folder = Path(f"{settings.run_folder(config)}-{kind}")
    _begin(folder)
    with lock.held(folder):
        _write_settings(config, folder, f"-m hw2 folds --{kind}={count}")
        splits = [_write_split(folder, member, examples) for member in members]

        # 3. The trainings, one after another. One that is done is not trained again.
        answers = []
        for number, (member, path) in enumerate(zip(members, splits, strict=True), start=1):
            out.print(f"{member.name}, {number} of {len(members)}:")
            own = dataclasses.replace(
                config,
                log_path=str(folder / member.name),
                split_file=str(path),
                seed=member.seed,
                test_data_path="",  # all are scored below
            )
            answers.append(_trained(own, member, examples, test, out))

        # 4. What they say together, for programs and for people.
        found = _together(config, folder, members, answers, examples, test)
        _write(found)
    return found


def _check(config: Config, seeds: int) -> None:
    """Refuses settings that cannot hold for several trainings."""
    if not config.train_data_path:
        raise UsageError("--train_data_path must name the pictures, got nothing; give a folder")
    for name in SINGLE:
        if getattr(config, name) != FIELDS[name].default:
            raise UsageError(f"--{name} is of a single training - leave it out, or give hw2 train")
    if not SEED.holds(last := config.seed + max(seeds - 1, 0)):
        raise UsageError(f"the last seed must be {SEED.words}, got {last}; lower --seed or --seeds")
    for name in () if seeds else ("split_file", "validation_fraction"):
        if getattr(config, name) != FIELDS[name].default:
            raise UsageError(
                f"--{name} cannot go with folds - each picture is held out once, so the folds are "
                "the split; leave it out, or give --seeds, which trains on one split"
            )


def _of_folds(config: Config, count: int, examples: Examples, out: Console) -> list[Member]:
    """A training for each fold, which holds it out."""
    keys = groups.of(config, examples, config.train_data_path, out)
    together = None if keys is None else grouping.numbers(keys, examples.digests)
    folds = drawing.draw(examples, count, config.seed, together, source=config.train_data_path)
    found = drawing.notes(examples, folds)
    if examples.validation is not None:
        found.append("the data's own validation part is among the folds, as any other picture")
    if config.init_from:
        found.append(
            f"--init_from={shown(config.init_from)} must not have seen these pictures: a model "
            "that was trained on them tells nothing of held-out ones"
        )
    for note in found:
        out.print(f"  note: {note}", style="dim")
    parts = [
        (np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)) for fold in range(count)
    ]
    return [Member(f"fold-{fold}", config.seed, *both) for fold, both in enumerate(parts, start=1)]


def _of_seeds(config: Config, count: int, examples: Examples, out: Console) -> list[Member]:
    """A training for each seed, all with the split that the first one draws."""
    parts = data.parts(config, examples, out)
    return [
        Member(f"seed-{seed}", seed, *parts) for seed in range(config.seed, config.seed + count)
    ]


def _begin(folder: Path) -> None:
    """Makes the folder, or finds it with an earlier start in it."""
    if (folder / FLAGS).exists():
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RunError(
                f"no folds in {folder} - the folder is not empty and has no {FLAGS}; "
                "give --log_path a new folder, nothing was changed in this one"
            )
        (folder / FLAGS).touch()


def _begun(folder: Path) -> bool:
    """Whether a training has saved a checkpoint."""
    return any(folder.glob("*/checkpoints/step-*"))


def _write_settings(config: Config, folder: Path, program: str) -> None:
    """Writes the settings, which must be those of an earlier start if something was trained.

    Raises:
      RunError: They differ.
    """
    path, now = folder / FLAGS, settings.to_flagfile(config, program)
    with writing(path):
        before = path.read_text("utf-8", "surrogateescape") if _begun(folder) else ""
    old, new = (
        {line.partition("=")[0]: line for line in text.splitlines()} for text in (before, now)
    )
    changed = [
        f"{old[flag]} before, {line} now"
        for flag, line in new.items()
        if flag.startswith("--") and flag[2:] not in FREE and old.get(flag, line) != line
    ]
    if changed:
        raise RunError(
            f"other settings in {folder} - {'; '.join(changed)}: trainings are comparable only if "
            "all have the same; give the former, or another --log_path"
        )
    with writing(path):
        atomic.write(path, now.encode("utf-8", "surrogateescape"))


def _write_split(folder: Path, member: Member, examples: Examples) -> Path:
    """Writes the split of a training, which must be that of an earlier start if there was one.

    Raises:
      DataError: The data have changed.
      RunError: The folds have.
    """
    path = folder / SPLITS / f"{member.name}.csv"
    if path.exists() and _begun(folder):
        if words := split.changes(path, examples):
            raise DataError(
                f"other data in {folder} - the trainings there began with other pictures, {words}; "
                "restore them, or give another --log_path"
            )
        parts = split.read(path, examples)
        if not all(map(np.array_equal, parts, (member.training, member.held_out))):
            raise RunError(
                f"another split in {folder} - {member.name} was drawn with another number of folds "
                "or other groups; give the former, or another --log_path"
            )
        return path
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        split.write(path, examples, member.training, member.held_out)
    return path


def _trained(
    config: Config, member: Member, examples: Examples, test: Examples | None, out: Console
) -> HeldOut:
    """Trains one of them unless it is done, and returns what it says of its held-out images."""
    run = Path(config.log_path)
    tested = len(test) if test else 0
    found = held_out.read(run, len(member.held_out), len(examples.class_names), tested)
    if found:
        out.print(f"  done at step {found.step}")
        return found
    train.train(config, alone=False)
    which = "last" if config.checkpoint == "auto" else config.checkpoint
    checkpoint, tensors = trained.choose(RunFolder(run), which)
    with convolving(config, checkpoint):
        model = trained.load(checkpoint, tensors, config.weights)
        ask = held_out.asker(model, checkpoint, config.batch_size)
        logits = ask(examples, member.held_out)
        others = ask(test, np.arange(tested)) if test else logits[:0]
    found = HeldOut(checkpoint.step, logits, others)
    held_out.write(run, found)
    return found


def _together(
    config: Config,
    folder: Path,
    members: Sequence[Member],
    answers: Sequence[HeldOut],
    examples: Examples,
    test: Examples | None,
) -> Found:
    """Joins what the trainings say: scores of each, their mean and spread; suspects of folds."""
    binary = config.loss == "binary"
    each = []
    for member, answer in zip(members, answers, strict=True):
        found: dict[str, Any] = {"name": member.name, "seed": member.seed, "step": answer.step}
        found |= _scores(answer.logits, examples.labels[member.held_out], binary)
        if test:
            right = answer.test.argmax(1) == test.labels
            found["test_top1"] = float(right.mean())
        each.append(found)
    names = [name for name in each[0] if name not in ("name", "seed", "step", "num_examples")]
    spread = {name: _spread([one[name] for one in each]) for name in names}
    by_fold = set(members[0].held_out.tolist()).isdisjoint(members[-1].held_out.tolist())
    result: dict[str, Any] = {"log_path": str(folder), "trainings": each, "spread": spread}
    if not by_fold:
        return Found(config, folder, examples, members, result)
    logits = np.empty((len(examples), len(examples.class_names)), np.float32)
    fold_of = np.empty(len(examples), np.int64)
    for number, (member, answer) in enumerate(zip(members, answers, strict=True)):
        logits[member.held_out], fold_of[member.held_out] = answer.logits, number
    together = _scores(logits, examples.labels, binary)
    probabilities = calibration.probabilities(logits, together["temperature"], binary=binary)
    thresholds = _thresholds(probabilities, examples.labels)
    result |= {"together": together, "thresholds": thresholds}
    doubted = None
    if suspects.available():
        doubted = suspects.find(examples.labels, probabilities)
        result["suspects"] = len(doubted)
    return Found(config, folder, examples, members, result, fold_of, probabilities, doubted)


def _scores(logits: np.ndarray, labels: np.ndarray, binary: bool) -> dict[str, Any]:
    """Accuracies of some answers, the temperature that fits them, and a threshold with it."""
    guesses, classes = logits.argmax(1), logits.shape[1]
    right = guesses == labels
    counted = (np.bincount(x, minlength=classes) for x in (labels[right], labels, guesses))
    balanced_accuracy, macro_f1 = metrics.recall_and_f1(*counted)
    temperature = calibration.fit(logits, labels, binary=binary)
    before, after = (
        calibration.probabilities(logits, value, binary=binary).max(1) for value in (1, temperature)
    )
    return {
        "num_examples": len(labels),
        "top1": float(right.mean()),
        "balanced_accuracy": balanced_accuracy,
        "macro_f1": macro_f1,
        "loss": calibration.loss(logits, labels, binary=binary),
        "temperature": temperature,
        "ece_before": calibration.error(before, right),
        "ece": calibration.error(after, right),
        "threshold": rejection.for_coverage(rejection.curve(after, right), COVERAGE).threshold,
    }


def _thresholds(probabilities: np.ndarray, labels: np.ndarray) -> list[dict[str, float]]:
    """For each of some errors the threshold that accepts most, where there is one."""
    curve = rejection.curve(probabilities.max(1), probabilities.argmax(1) == labels)
    chosen = ((error, rejection.for_error(curve, error)) for error in ERRORS)
    return [
        {"error": error, "reject_below": one.threshold, "coverage": one.accepted / len(labels)}
        for error, one in chosen
        if one
    ]


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation of a single training, and range."""
    return {
        "mean": float(np.mean(values)),
        "deviation": float(np.std(values, ddof=1)),
        "least": min(values),
        "most": max(values),
    }


def _write(found: Found) -> None:
    """Writes the result, and for folds every answer and the suspects.

    Raises:
      RunError: The folder cannot be written.
    """
    folder, raw = found.folder, found.config.raw
    if found.probabilities is not None and found.fold_of is not None:
        _write_answers(folder / ANSWERS, found, found.fold_of, found.probabilities)
    if found.suspects is not None:
        suspects.write(folder / SUSPECTS, found.suspects, found.examples, raw=raw)
    with writing(folder / RESULT):
        atomic.write(folder / RESULT, (json.dumps(found.result, indent=1) + "\n").encode())


def _write_answers(
    path: Path, found: Found, fold_of: np.ndarray, probabilities: np.ndarray
) -> None:
    """Writes a row for each image: its fold, class, answer, and the probability of each class."""
    examples, raw = found.examples, found.config.raw
    names = [cells.safe(name, raw=raw) for name in examples.class_names]
    with writing(path), atomic.opened(path) as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["name", "fold", "class", "answer", *(f"p_{name}" for name in names)])
        for index, row in enumerate(probabilities):
            rows.writerow(
                [
                    cells.safe(examples.names[index], raw=raw),
                    fold_of[index] + 1,
                    names[examples.labels[index]],
                    names[row.argmax()],
                    *(f"{value:.4g}" for value in row),
                ]
            )
