"""Finds images to evaluate on that were trained on: the same content in two parts of the data."""

from __future__ import annotations

import numpy as np

from hw2.config.settings import Config
from hw2.input.examples import Examples
from hw2.input.files import duplicates
from hw2.input.files.names import shown
from hw2.input.scanning.troubles import Trouble


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


def leak_of_parts(config: Config, examples: Examples) -> Trouble | None:
    """The trouble with a validation part that shares pictures with its training part."""
    if examples.digests is None or examples.validation is None or config.allow_leak:
        return None
    training, held_out = (np.flatnonzero(examples.validation == part) for part in (False, True))
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
