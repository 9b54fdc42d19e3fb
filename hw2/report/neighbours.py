"""The worst mistakes beside the training pictures that the model takes for their like."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError, Fault
from hw2.input import labels as labelling
from hw2.input.examples import Examples
from hw2.input.files import perceptual
from hw2.jobs import data, neighbours, spec
from hw2.jobs.extractor import extractor
from hw2.jobs.neighbours import Neighbours
from hw2.report import accuracy, thumbnail
from hw2.report.accuracy import Predictions
from hw2.report.cards import cards
from hw2.report.scored import ScoredRun
from hw2.report.sets import NOTHING, SEPARATOR
from hw2.runs.folder import RunFolder
from hw2.terminal import progress_bar

MISTAKES, SHOWN = 6, 6  # pictures, and neighbours of each
COMPARED = 250  # held-out pictures that say how near a neighbour usually is
ODD = 0.05  # the share of them that are called odd


@dataclasses.dataclass(frozen=True)
class Neighbour:
    """A training picture near to another one.

    Attributes:
      name: Its name.
      label: Its class, or its classes.
      cosine: Of its features with those of the other picture.
      same: Whether the two look the same, by their perceptual hashes.
    """

    name: str
    label: str
    cosine: float
    same: bool = False


def content(run: ScoredRun, config: Config, out: Console, missing: list[str]) -> dict[str, Any]:
    """Finds the nearest training pictures of the worst mistakes, by the cosine of features.

    Args:
      run: The run and its answers.
      config: The settings: `num_examples` is the number of training pictures to look at, at most
        `neighbours.MOST`.
      out: Where people read.
      missing: Collects the reasons of what cannot be shown.

    Returns:
      "near", a card for each mistake with its "neighbours" and a "lesson"; "near_of", how many
      training pictures were looked at, and "near_total", how many there are.
    """
    nothing: dict[str, Any] = {"near": [], "near_of": 0, "near_total": 0}
    found = run.answers
    worst = (
        accuracy.worst(found, MISTAKES) if isinstance(found, Predictions) else found.worst(MISTAKES)
    )
    if not len(worst):
        return nothing
    try:
        examples, trained = _training(run, config, out)
        seen, asked = _features(run, config, examples, trained, worst, out)
    except Fault as fault:
        missing.append(f"no nearest training pictures: {fault}")
        return nothing
    usual = np.quantile(seen.nearest(asked[len(worst) :], 1)[1], ODD)
    near = []
    for row, indices, cosines in zip(worst, *seen.nearest(asked[: len(worst)], SHOWN), strict=True):
        for card in cards(run, [row]):
            own = _hash(run.examples, int(run.indices[row]))
            shown = _shown(examples, indices, cosines, own)
            like = [neighbour for neighbour, _ in shown]
            card["neighbours"] = [dataclasses.asdict(one) | {"src": src} for one, src in shown]
            card["lesson"] = lesson(card["label"], card["guess"], like, float(usual))
            near.append(card)
    return {"near": near, "near_of": len(seen.indices), "near_total": seen.total}


def lesson(label: str, guess: str, near: Sequence[Neighbour], usual: float) -> str:
    """Says what the neighbours of a wrong answer teach: of its label, or of the data.

    Args:
      label: What the picture is by its label.
      guess: What the model calls it.
      near: Its neighbours, the nearest first.
      usual: The cosine that the nearest neighbour of nearly every picture reaches.
    """
    twin = next((one for one in near if one.same), None)
    if twin and twin.label != label:
        return (
            f"{twin.name} looks nearly the same, and its label is {twin.label}: one of the two "
            "labels may be wrong."
        )
    if twin:
        return (
            f"{twin.name} looks nearly the same, has the same label, and was trained on: the model "
            "has not learned it."
        )
    if not near or near[0].cosine < usual:
        return (
            "No training picture is much like it: it is an odd picture, or of a kind that the "
            "training data lack."
        )
    count = len(near)
    guessed, right = (sum(one.label == name for one in near) for name in (guess, label))
    shares = f"{guessed or 'None'} of {count} are labelled {guess}, {right or 'none'} {label}"
    if not right:
        return (
            f"{shares}: its own label may be wrong, or the training data may lack pictures like it."
        )
    if right > guessed:
        return f"{shares}, and yet the model answers {guess}: it tells these two apart badly."
    return f"{shares}: the classes overlap here, and more pictures like this one would help."


def _training(run: ScoredRun, config: Config, out: Console) -> tuple[Examples, np.ndarray]:
    """The pictures that the run was trained on, also where others are scored."""
    if run.training is not None:
        return run.examples, run.training
    folder = RunFolder(run.checkpoint.path.parents[1])
    accepting = data.accepting_bad_files(config, folder)
    examples, trained, _ = data.of_run(accepting, folder, run.checkpoint, out)
    return examples, trained


def _features(
    run: ScoredRun,
    config: Config,
    examples: Examples,
    trained: np.ndarray,
    worst: np.ndarray,
    out: Console,
) -> tuple[Neighbours, np.ndarray]:
    """The training pictures by their features; and those of the mistakes, then of a sample."""
    extract = extractor(run.model, run.checkpoint.path)
    preprocessing = spec.preprocessing(run.checkpoint.state["identity"])
    most = min(neighbours.MOST, config.num_examples or neighbours.MOST)
    sampled = data.sample(np.arange(len(run.indices)), COMPARED)
    asked = run.indices[np.concatenate([worst, sampled])]
    with progress_bar.reporting("features of the training pictures", out) as report:
        seen, held_out = (
            neighbours.of(
                extract,
                source,
                indices,
                preprocessing,
                batch_size=config.batch_size,
                most=most,
                report=report,
            )
            for source, indices, most in (
                (examples, trained, most),
                (run.examples, asked, len(asked)),
            )
        )
    return seen, held_out.directions


def _shown(
    examples: Examples, indices: np.ndarray, cosines: np.ndarray, own: int | None
) -> list[tuple[Neighbour, str]]:
    """Neighbours with their thumbnails; one that has gone since is left out."""
    found = []
    for index, cosine in zip(indices.tolist(), cosines.tolist(), strict=True):
        try:
            source = thumbnail.encode_example(examples.load, index)
        except DataError:
            continue
        label, same = label_of(examples, index), _alike(own, _hash(examples, index))
        found.append((Neighbour(examples.names[index], label, cosine, same), source))
    return found


def label_of(examples: Examples, index: int) -> str:
    """The class of an example, or its classes."""
    numbers = labelling.of(examples.labels, index)
    return SEPARATOR.join(examples.class_names[number] for number in numbers) or NOTHING


def _alike(one: int | None, other: int | None) -> bool:
    """Whether two perceptual hashes are those of near-duplicates."""
    if one is None or other is None:
        return False
    return (one ^ other).bit_count() <= perceptual.DISTANCE


def _hash(examples: Examples, index: int) -> int | None:
    """The perceptual hash of a picture; None for one of nearly one level, or without ImageHash."""
    try:
        return perceptual.hash_of(examples.load(index, perceptual.SIDE))
    except (ImportError, DataError):
        return None
