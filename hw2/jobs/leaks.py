"""Images that were trained on and would score the model, found by content: refused or told of."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.input import split
from hw2.input.examples import Examples
from hw2.input.files import duplicates
from hw2.input.files.names import shown
from hw2.input.scanning.troubles import Trouble
from hw2.runs.folder import RunFolder


def leak(config: Config, examples: Examples, test: Examples) -> Trouble | None:
    """The trouble with test data that shares pictures, by content, with the training data."""
    if examples.digests is None or test.digests is None or config.allow_leak:
        return None
    found = duplicates.pairs(examples.digests, test.digests)
    if found:
        words = duplicates.equations(
            [(shown(examples.names[a]), shown(test.names[b])) for a, b in found]
        )
        return _trouble(
            f"the same pictures in {shown(config.train_data_path)} and "
            f"{shown(config.test_data_path)} - {len(found)}: {words}"
        )
    return None


def trained_on(folder: RunFolder, examples: Examples, indices: np.ndarray, out: Console) -> int:
    """Counts the pictures that a run was trained on among those that are to score it, and tells.

    Scores on pictures of the training say nothing about new ones.

    Args:
      folder: The run.
      examples: The data that score it, which are not its own.
      indices: Those of them that are taken.
      out: Where people read.

    Raises:
      DataError: The run's split is damaged.
    """
    if examples.digests is None or not folder.split.exists():
        return 0
    taken = {shown(examples.names[index]) for index in indices}
    pairs = [(a, b) for a, b in split.trained_on(folder.split, examples) if b in taken]
    if pairs:
        out.print(f"warning: {words_of(len(pairs), len(indices))}: {duplicates.equations(pairs)}")
    return len(pairs)


def words_of(count: int, total: int) -> str:
    """Says how many of the pictures that score a run it was trained on."""
    return (
        f"the run was trained on {count} of these {total} pictures, so the scores do not tell how "
        "well it does on new ones"
    )


def leak_of_parts(config: Config, examples: Examples) -> Trouble | None:
    """The trouble with a validation part that shares pictures with its training part."""
    if examples.validation is None or config.split_file:
        return None
    training, held_out = (np.flatnonzero(examples.validation == part) for part in (False, True))
    return leak_between(config, examples, training, held_out)


def leak_between(
    config: Config, examples: Examples, training: np.ndarray, held_out: np.ndarray
) -> Trouble | None:
    """The trouble with pictures that share their content across two parts of the data."""
    if examples.digests is None or config.allow_leak:
        return None
    found = duplicates.pairs(examples.digests[training], examples.digests[held_out])
    if found:
        names = [shown(name) for name in examples.names]
        words = duplicates.equations([(names[training[a]], names[held_out[b]]) for a, b in found])
        return _trouble(
            f"the same pictures in two parts of {shown(config.train_data_path)} - {len(found)}: "
            f"{words}"
        )
    return None


def _trouble(what: str) -> Trouble:
    return Trouble(what, "remove them from one", {"allow_leak": True})
