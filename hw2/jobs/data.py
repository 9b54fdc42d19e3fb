"""Reads, checks and splits the data that the settings name."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from hw2.config import flagfile, paths
from hw2.config.settings import Config
from hw2.errors import DataError, RunError, writing
from hw2.input import groups as grouping
from hw2.input import labels as labelling
from hw2.input import source, split, split_file
from hw2.input.examples import Examples, check_kind
from hw2.input.files import levels
from hw2.input.files.levels import Scale
from hw2.input.files.names import shown
from hw2.input.files.rules import Rules, among
from hw2.input.scanning import imbalance
from hw2.input.sources import builtin
from hw2.input.stream import disk_cache
from hw2.jobs import groups, leaks, multilabel
from hw2.runs import cells
from hw2.runs import folder as run_folder
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import RunFolder
from hw2.terminal import progress_bar


def read_examples(
    config: Config,
    path: str,
    part: str,
    out: Console,
    class_names: Sequence[str] | None = None,
    scale: Scale | None = None,
) -> Examples:
    """Reads a data set and prints a summary of it.

    Args:
      config: The settings.
      path: The data set.
      part: "train" or "test".
      out: Where people read.
      class_names: If given, labels are the positions of their classes among these.
      scale: The scale of the arrays that a model was trained on, which these must fit.
    """
    with progress_bar.reporting(f"scanning {shown(path)}", out) as report:
        accepted = dataclasses.replace(rules(config), scale=scale)
        examples = source.read(path, part, accepted, class_names=class_names, report=report)
    if class_names is not None:
        examples = examples.with_classes(class_names)
    if config.disk_cache:
        examples = disk_cache.kept(
            examples,
            absolute_path(config.disk_cache),
            warn=lambda text: out.print(f"warning: {text}"),
        )
    out.print(f"{shown(path)}: {len(examples):,} pictures in {len(examples.class_names)} classes")
    for note in examples.notes:
        out.print(f"  note: {note}", style="dim")
    return examples


def rules(config: Config) -> Rules:
    """The rules of the settings for which files to accept."""
    return among(vars(config))


def write_skipped(path: Path, skipped: Sequence[tuple[str, str]], *, raw: bool = False) -> None:
    """Writes the names of skipped pictures and the reasons; removes the file if there are none."""
    if not skipped:
        path.unlink(missing_ok=True)  # it would be of an earlier run
        return
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = ([cells.safe(text, raw=raw) for text in row] for row in skipped)
        csv.writer(file).writerows([("name", "reason"), *rows])


def absolute_path(path: str) -> str:
    """Makes a path absolute, but leaves the name of a built-in data set as it is."""
    return paths.absolute(path, builtin.NAMES)


def class_names_and_scale(checkpoint: Checkpoint) -> tuple[list[str], Scale | None]:
    """What a checkpoint knows of its data: its classes, and the scale if it came from arrays."""
    identity = checkpoint.state["identity"]
    return identity["class_names"], levels.from_plain(identity.get("scale"))


def held_out(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, out: Console
) -> tuple[Examples, np.ndarray]:
    """Reads what a model is judged on: the test data if given, else the run's validation part.

    Returns:
      Examples, and the indices of those to judge by.

    Raises:
      DataError: The data cannot be used, or are not those that the run was trained on.
    """
    if not config.test_data_path:
        examples, _, validation = of_run(config, folder, checkpoint, out)
        return examples, validation
    known = class_names_and_scale(checkpoint)
    config = as_trained(config, checkpoint)
    examples = read_examples(config, config.test_data_path, "test", out, *known)
    several, path = multilabel.is_of(checkpoint.state["identity"]), config.test_data_path
    check_kind(examples, several, f"the test data {path}")
    multilabel.check_labels(examples, np.arange(len(examples)), path)
    return examples, np.arange(len(examples))


def as_trained(config: Config, checkpoint: Checkpoint) -> Config:
    """The settings, with those by which the data of a run are read."""
    group_by = checkpoint.state["identity"].get("group_by", "")
    return dataclasses.replace(config, group_by=group_by)


def of_run(
    config: Config, folder: RunFolder, checkpoint: Checkpoint, out: Console
) -> tuple[Examples, np.ndarray, np.ndarray]:
    """Reads the data that a run was trained on, in the place that `place_of` knows.

    Returns:
      Examples, the indices of those that were trained on, and of those held out.

    Raises:
      DataError: The data cannot be used, or have changed since.
    """
    path = place_of(config, folder, checkpoint)
    if path not in builtin.NAMES and not all(map(os.path.exists, paths.files_of(path))):
        raise DataError(
            f"no data in {shown(path)} - the run in {folder.path} was trained on it, and it is "
            "gone; give --train_data_path with the place where it is now"
        )
    known = class_names_and_scale(checkpoint)
    examples = read_examples(as_trained(config, checkpoint), path, "train", out, *known)
    return examples, *split.read(folder.split, examples)


def accepting_bad_files(config: Config, folder: RunFolder) -> Config:
    """The settings, skipping bad files if the training did: its split has none of them."""
    flags = {}
    with contextlib.suppress(OSError):
        flags = flagfile.values(folder.path / run_folder.FLAGS)
    if flags.get("on_bad_file") != "skip":
        return config
    largest = float(flags.get("max_bad_fraction", config.max_bad_fraction))
    return dataclasses.replace(config, on_bad_file="skip", max_bad_fraction=largest)


def sample(indices: np.ndarray, most: int) -> np.ndarray:
    """Draws at most `most` of the indices, the same every time, and keeps their order."""
    if len(indices) <= most:
        return indices
    return np.sort(np.random.default_rng(0).permutation(indices)[:most])


def place_of(config: Config, folder: RunFolder, checkpoint: Checkpoint) -> str:
    """Says where the data of a run are; the newest word of it holds.

    That is the setting, else the run folder's flagfile, which each start of the training writes
    anew, else what the checkpoint recorded.
    """
    written = ""
    with contextlib.suppress(OSError):
        written = flagfile.values(folder.path / run_folder.FLAGS).get("train_data_path", "")
    return config.train_data_path or written or checkpoint.state["train_data_path"]


def write_split(
    config: Config,
    examples: Examples,
    folder: RunFolder,
    found: Checkpoint | None,
    out: Console,
) -> None:
    """Writes the split of a new run, or of a run that resumes with changed data.

    Raises:
      DataError: A class has too few pictures to split.
      RunError: The folder cannot be written.
    """
    if found is not None:
        _check_given(config, examples, folder)
    if found is None:
        drawn = parts(config, examples, out)
    elif config.accept_new_data and (words := split.changes(folder.split, examples)):
        out.print(f"  note: the data has changed, {words}; an epoch begins with it", style="dim")
        kept = run_folder.keep_split(folder, found.step)
        keys = groups.of(config, examples, config.train_data_path, out)
        together = None if keys is None else grouping.numbers(keys, examples.digests)
        drawn = split.renewed(kept, examples, config.validation_fraction, config.seed, together)
    else:
        return
    with writing(folder.split):
        split.write(folder.split, examples, *drawn)
        write_skipped(folder.path / "skipped.csv", examples.skipped)


def parts(config: Config, examples: Examples, out: Console) -> tuple[np.ndarray, np.ndarray]:
    """Splits the data of a new run: as a file says, or by drawing, and groups stay together.

    Returns:
      Indices for training and for validation, each sorted int64.

    Raises:
      DataError: The file of the split is wrong, or a group is in both parts.
    """
    keys = groups.of(config, examples, config.train_data_path, out)
    together = None if keys is None else grouping.numbers(keys, examples.digests)
    if config.split_file:
        found = split_file.read(config.split_file, examples)
        if trouble := leaks.leak_between(config, examples, *found):
            raise DataError(trouble.message)
    else:
        found = split.draw(examples, config.validation_fraction, config.seed, together)
    if keys is not None:
        if trouble := groups.parted(config, keys, *found):
            raise DataError(trouble.message)
        for note in grouping.notes(examples, keys, config.group_by, found[1]):
            out.print(f"  note: {note}", style="dim")
    return found


def _check_given(config: Config, examples: Examples, folder: RunFolder) -> None:
    """Refuses to resume with a file of the split that says something else than the run's own.

    The run keeps its split, so the file may be gone.
    """
    if not os.path.exists(config.split_file) or split.changes(folder.split, examples):
        return
    given, own = split_file.read(config.split_file, examples), split.read(folder.split, examples)
    if not all(map(np.array_equal, given, own)):
        raise RunError(
            f"another split in {shown(config.split_file)} - the run in {folder.path} has its own; "
            "leave out --split_file, or start a new training with another --log_path"
        )


def read_split(
    config: Config, examples: Examples, folder: RunFolder, out: Console
) -> tuple[np.ndarray, np.ndarray]:
    """Reads the split of a run, and prints how many pictures it has.

    Returns:
      Indices of the examples to train on, and of the held-out examples.

    Raises:
      DataError: The split does not fit the data, or no picture is held out.
    """
    training, validation = split.read(folder.split, examples)
    if not len(validation):
        raise DataError(
            f"no validation pictures in {config.train_data_path} - no class has enough for "
            f"--validation_fraction={config.validation_fraction}; raise it or add pictures"
        )
    found = list(split.notes(examples, training, validation))
    if config.class_weights == "none" and config.sampling == "uniform" and config.loss != "focal":
        counts = labelling.counts(examples.labels[training], len(examples.class_names))
        found += imbalance.notes(examples.class_names, counts, several=examples.several)
    for part, indices in (("training", training), ("validation", validation)):
        multilabel.check_labels(examples, indices, f"the {part} part of {config.train_data_path}")
    for note in found:
        out.print(f"  note: {note}", style="dim")
    out.print(f"  {len(training):,} to train, {len(validation):,} to validate")
    return training, validation
