"""Groups of pictures that the settings ask to keep together: found, and refused where parted."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.input import groups, split
from hw2.input.examples import Examples
from hw2.input.files import duplicates
from hw2.input.files.names import first_few, shown
from hw2.input.files.rules import NEAR_DUPLICATES
from hw2.input.scanning.troubles import Trouble
from hw2.runs.folder import RunFolder
from hw2.terminal import progress_bar


def of(config: Config, examples: Examples, path: str, out: Console) -> np.ndarray | None:
    """The key of the group of each picture, or None if the settings group nothing.

    Raises:
      DataError: No picture is in a group, or all are in one.
      UsageError: A library is missing.
    """
    if not config.group_by:
        return None
    with progress_bar.reporting(f"grouping {shown(path)}", out) as report:
        found = groups.keys(examples, config.group_by, path, report)
    groups.checked(found, examples, config.group_by, path)
    return found


def leaks(config: Config, train: Examples, test: Examples | None, out: Console) -> list[Trouble]:
    """The troubles with groups that are in several parts: validation and test, if they are given.

    Raises:
      DataError: As `of`.
    """
    if not config.group_by:
        return []
    keys = of(config, train, config.train_data_path, out)
    if config.allow_leak or keys is None:
        return []
    found = []
    if train.validation is not None and not config.split_file:
        sides = np.flatnonzero(~train.validation), np.flatnonzero(train.validation)
        trouble = parted(config, keys, *sides)
        found += [trouble] if trouble else []
    if test is not None:
        found += _with_test(config, keys, train, test, out)
    return found


def warn(
    config: Config, folder: RunFolder, group_by: str, examples: Examples, out: Console
) -> None:
    """Tells of groups that a run was trained on among the pictures that are to score it.

    Args:
      config: The settings of the evaluation.
      folder: The run.
      group_by: What its training kept together. Near-duplicates are not looked for.
      examples: The data that score it, which are not its own.
      out: Where people read.
    """
    if group_by in ("", NEAR_DUPLICATES) or not folder.split.exists():
        return
    try:
        names = split.trained_names(folder.split)
        known = groups.keys_of(names, group_by, config.train_data_path)
        found = groups.keys_of(examples.names, group_by, config.test_data_path)
    except DataError as error:
        out.print(f"note: the groups of the training are not compared: {error}")
        return
    both = set(known.tolist()) & set(found.tolist()) - {groups.NONE}
    if both:
        count = sum(key in both for key in found.tolist())
        out.print(
            f"warning: {count} of these {len(examples)} pictures are of groups that the run was "
            f"trained on, so the scores do not tell how well it does on new ones: "
            f"{first_few(sorted(both))}"
        )


def parted(
    config: Config, keys: np.ndarray, training: np.ndarray, validation: np.ndarray
) -> Trouble | None:
    """The trouble with groups that are both in training and in validation."""
    both = groups.parted(keys, training, validation)
    if not both or config.allow_leak:
        return None
    return _trouble(f"groups in two parts of {shown(config.train_data_path)}", both)


def _with_test(
    config: Config, keys: np.ndarray, train: Examples, test: Examples, out: Console
) -> list[Trouble]:
    where = f"{shown(config.train_data_path)} and {shown(config.test_data_path)}"
    if config.group_by == NEAR_DUPLICATES:
        pairs = groups.near_pairs(train, test)
        words = duplicates.equations(
            [(shown(train.names[a]), shown(test.names[b])) for a, b in pairs]
        )
        what = f"near-duplicates in {where} - {len(pairs)}: {words}"
        return [Trouble(what, REMEDY, {"allow_leak": True})] if len(pairs) else []
    others = groups.keys(test, config.group_by, config.test_data_path)
    both = sorted((set(keys.tolist()) & set(others.tolist())) - {groups.NONE})
    if not set(others.tolist()) - {groups.NONE}:
        out.print(f"  note: --group_by={config.group_by} finds no group in the test data")
    return [_trouble(f"the same groups in {where}", both)] if both else []


REMEDY = "keep them on one side"


def _trouble(what: str, both: list[str]) -> Trouble:
    words = f"{what} - {len(both)}: {first_few(both)}"
    return Trouble(words, REMEDY, {"allow_leak": True})
