"""The trainings of `hw2 folds`: one for each fold or seed, each with its split."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError, RunError, writing
from hw2.input import folds as drawing
from hw2.input import groups as grouping
from hw2.input import split
from hw2.input.examples import Examples
from hw2.input.files.names import shown
from hw2.jobs import data, groups

SPLITS = "splits"


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


def of_folds(config: Config, count: int, examples: Examples, out: Console) -> list[Member]:
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


def of_seeds(config: Config, count: int, examples: Examples, out: Console) -> list[Member]:
    """A training for each seed, all with the split that the first one draws."""
    parts = data.parts(config, examples, out)
    return [
        Member(f"seed-{seed}", seed, *parts) for seed in range(config.seed, config.seed + count)
    ]


def write_split(folder: Path, member: Member, examples: Examples, *, begun: bool) -> Path:
    """Writes the split of a training, which must be that of an earlier start if there was one.

    Args:
      folder: The folder of all trainings.
      member: The training.
      examples: The data.
      begun: Whether a training has begun there.

    Returns:
      The file.

    Raises:
      DataError: The data have changed.
      RunError: The folds have.
    """
    path = folder / SPLITS / f"{member.name}.csv"
    if begun and path.exists():
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
