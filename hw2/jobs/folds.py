"""Several trainings of one data set: one for each fold, or one for each of several seeds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console

from hw2.config import settings
from hw2.config.rules import SEED
from hw2.config.settings import FIELDS, Config
from hw2.errors import RunError, UsageError, writing
from hw2.input.examples import Examples
from hw2.jobs import findings, held_out, members, prepare, spec, suspects, train
from hw2.jobs import model as trained
from hw2.jobs.convolution import convolving
from hw2.jobs.findings import Found
from hw2.jobs.held_out import HeldOut
from hw2.jobs.members import Member
from hw2.machines import devices, failures
from hw2.runs import atomic, lock
from hw2.runs.folder import RunFolder
from hw2.terminal import console
from hw2.training import trackers

FLAGS = "folds.cfg"
# Settings that make sense for a single training only.
SINGLE = ("find_rate", "dry_run", "overfit_batches", "fresh", "accept_new_data")
# Settings that change nothing of what is learned or answered, and so may change between starts. A
# preset of augmentation is a name for other settings.
FREE = frozenset(
    (
        *("train_data_path", "test_data_path", "disk_cache", "cache_mb", "threads", "num_gpus"),
        *("logical_devices", "log_frequency", "tensorboard", "histogram_steps", "tracker"),
        *("keep_checkpoints", "keep_every", "on_save_error", "num_examples", "top_k", "run_once"),
        *("eval_interval_secs", "reject_below", "reject_by", "augmentation"),
    )
)


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
    if examples.several:
        raise UsageError(
            f"hw2 folds must have one label a picture, got several in {config.train_data_path}; "
            "give hw2 train, which holds a fraction of every class out"
        )
    if seeds:
        trainings = members.of_seeds(config, seeds, examples, out)
    else:
        trainings = members.of_folds(config, folds, examples, out)
    kind, count = ("seeds", seeds) if seeds else ("folds", folds)
    folder = Path(f"{settings.run_folder(config)}-{kind}")
    _begin(folder)
    with lock.held(folder):
        _write_settings(config, folder, f"-m hw2 folds --{kind}={count}")
        begun = _begun(folder)
        splits = [members.write_split(folder, one, examples, begun=begun) for one in trainings]

        # 3. The trainings, one after another. One that is done is not trained again.
        answers = []
        for number, (member, path) in enumerate(zip(trainings, splits, strict=True), start=1):
            out.print(f"{member.name}, {number} of {len(trainings)}:")
            own = dataclasses.replace(
                config,
                log_path=str(folder / member.name),
                split_file=str(path),
                seed=member.seed,
                test_data_path="",  # all are scored below
            )
            answers.append(_trained(own, member, examples, test, out))

        # 4. What they say together, for programs and for people.
        found = findings.together(config, folder, trainings, answers, examples, test)
        findings.write(found)
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
