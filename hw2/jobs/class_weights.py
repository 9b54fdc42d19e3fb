"""The weights of the classes in the loss: none, by their numbers of images, or from a file."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hw2.config.choices import CLASS_WEIGHTS
from hw2.config.settings import Config
from hw2.input.examples import Examples
from hw2.input.files import spelling
from hw2.input.files.names import first_few, shown
from hw2.input.sources import rows
from hw2.jobs import multilabel

HEADER = ["class", "weight"]
FORM = "a file of class weights has the header `class,weight`"


def of(config: Config, examples: Examples, training: np.ndarray) -> list[float] | None:
    """Finds the weights that `--class_weights` asks for.

    Args:
      config: The settings.
      examples: The data.
      training: Indices of the examples to train on.

    Returns:
      A weight for each class; None where all count alike.

    Raises:
      DataError: The file of weights cannot be used; the message names the line.
    """
    if config.class_weights == "none":
        return None
    if config.class_weights == "balanced" and examples.several:
        return multilabel.class_weights(examples, training)
    if config.class_weights == "balanced":
        counts = np.bincount(examples.labels[training], minlength=len(examples.class_names))
        return balanced(counts)
    return read(config.class_weights, examples.class_names)


def check(config: Config, class_names: Sequence[str]) -> None:
    """Refuses a file of weights that does not fit the classes, before anything is written.

    Raises:
      DataError: As `read`.
    """
    if config.class_weights not in CLASS_WEIGHTS:
        read(config.class_weights, class_names)


def balanced(counts: np.ndarray) -> list[float]:
    """Weights with which every class has the same share in the loss.

    They are images / (classes * images of the class), so that the mean over the images is 1 and
    the learning rate keeps its meaning. A class without images, which no image can use, has 1.
    """
    there = np.count_nonzero(counts)
    return [float(counts.sum() / (there * count)) if count else 1.0 for count in counts]


def read(path: str, class_names: Sequence[str]) -> list[float]:
    """Reads a CSV file of `class,weight` with a line for each class, in any order.

    Raises:
      DataError: A class is unknown, missing or there twice, or a weight is no number of at least
        0; the message names the class and the line.
    """
    find = spelling.finder(class_names)
    known = f"the classes are {first_few([*class_names])}; correct the name or remove the line"
    found: dict[int, tuple[float, int]] = {}
    line = 1
    for line, fields in rows.rows_of(path, FORM):
        if line == 1 or fields == HEADER:
            if fields != HEADER:
                raise rows.bad(path, line, f"the header is {','.join(fields)}", FORM)
            continue
        name, text = fields
        number = find(name)
        if number < 0:
            raise rows.bad(path, line, f"there is no class {shown(name)}", known)
        if number in found:
            why = f"{shown(name)} is in line {found[number][1]} already"
            raise rows.bad(path, line, why, "remove one")
        weight = _number(text)
        if weight is None:
            why = f"the weight of {shown(name)} is {shown(text)!r}"
            raise rows.bad(path, line, why, "give a number of at least 0")
        found[number] = weight, line
    missing = [name for number, name in enumerate(class_names) if number not in found]
    if missing:
        raise rows.bad(path, line, f"it ends without {first_few(missing)}", "add a line for each")
    weights = [found[number][0] for number in range(len(class_names))]
    if not any(weights):
        raise rows.bad(path, line, "every weight is 0", "give one above 0")
    return weights


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
