"""Refuses to evaluate on images that were trained on: the same content in two parts of the data."""

from __future__ import annotations

import numpy as np

from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.files import duplicates
from hw2.input.files.names import shown


def check_leak(config: Config, examples: Examples, test: Examples) -> None:
    """Refuses test data that shares pictures, by content, with the training data."""
    if examples.digests is None or test.digests is None or config.allow_leak:
        return
    found = duplicates.pairs(examples.digests, test.digests)
    if found:
        words = duplicates.equations(
            [(shown(examples.names[a]), shown(test.names[b])) for a, b in found]
        )
        raise DataError(
            f"the same pictures in {shown(config.train_data_path)} and "
            f"{shown(config.test_data_path)} - {len(found)}: {words}; remove them from one, or "
            "--allow_leak"
        )


def check_parts(config: Config, examples: Examples) -> None:
    """Refuses a data set whose own validation part shares pictures with its training part."""
    if examples.digests is None or examples.validation is None or config.allow_leak:
        return
    training, held_out = (np.flatnonzero(examples.validation == part) for part in (False, True))
    found = duplicates.pairs(examples.digests[training], examples.digests[held_out])
    if found:
        names = [shown(name) for name in examples.names]
        words = duplicates.equations([(names[training[a]], names[held_out[b]]) for a, b in found])
        raise DataError(
            f"the same pictures in two parts of {shown(config.train_data_path)} - {len(found)}: "
            f"{words}; remove them from one, or --allow_leak"
        )
