"""Draws pictures as the network sees them in training.

    hw2 preview FOLDER --augmentation=strong
    hw2 preview --flagfile=config.cfg --section=digits --output=digits.png

PATH, or --train_data_path, is any source of labelled pictures. --output, preview.png where it is
not given, is one PNG with a row for each picture; only a picture drawn by this command is
replaced.
"""

from __future__ import annotations

import dataclasses
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from hw2.commands.command import Command, Own, check_data
from hw2.config.fields import setting
from hw2.config.settings import Config
from hw2.drawing import fonts, signed
from hw2.errors import UsageError
from hw2.input import labels as labelling
from hw2.input import source
from hw2.input.examples import Examples
from hw2.input.files.names import shown
from hw2.input.stream import order
from hw2.jobs import data
from hw2.runs import atomic
from hw2.terminal import progress_bar

SMALLEST = 96  # side of a cell; smaller pictures are enlarged by whole numbers
GAP, LINE = 4, 14  # pixels between cells, and of a line of text
PROGRAM = "hw2.input.preview"  # by which a PNG is known as one of ours
COLUMNS = ("as decoded", "in evaluation")  # before those of training
LETTERS = 10  # named, of those that have no font
DEVIATIONS = 2.0  # of standardized pictures, that black and white are away from the middle


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A picture as it is, as evaluation sees it and as training does, with a line under each."""

    pictures: Sequence[np.ndarray]  # uint8 [h, w, 1 or 3]
    texts: Sequence[str]


def rows(examples: Examples, config: Config, *, pictures: int, versions: int) -> list[Row]:
    """Prepares pictures as training with these settings does, by its own pipeline.

    Args:
      examples: What to choose from: one picture of every class, then one more, at random.
      config: The settings.
      pictures: How many; one less where they are mixed in pairs and the number is odd.
      versions: How often each is changed: one for each of so many epochs of these pictures.
    """
    from hw2.input import pipeline  # brings TensorFlow, as the next two do
    from hw2.input.transforms import preprocess
    from hw2.jobs import spec

    prepared = spec.preprocessing_options(config, examples.channels)
    p = preprocess.Preprocessing(**prepared)
    chosen = _chosen(examples, min(pictures, len(examples)), config.seed)
    if config.mixup or config.cutmix:
        chosen = chosen[: len(chosen) // 2 * 2]
    names = [shown(name) for name in examples.class_names]
    changed: list[tuple[list[np.ndarray], list[str]]] = [([], []) for _ in chosen]
    batches = pipeline.training_batches(
        examples,
        chosen,
        p,
        batch_size=len(chosen),
        seed=config.seed,
        mixup=config.mixup,
        cutmix=config.cutmix,
    )
    mixed = config.mixup or config.cutmix
    with pipeline.naming_errors():
        for epoch, (images, labels) in enumerate(batches.take(versions)):
            places = order.permutation(len(chosen), config.seed, epoch)
            for place, image, label in zip(places, images.numpy(), labels.numpy(), strict=True):
                changed[place][0].append(preprocess.visible(image, p, deviations=DEVIATIONS))
                changed[place][1].append(_shares(label, names) if mixed else "")
    result = []
    for index, (images, texts) in zip(chosen, changed, strict=True):
        picture = examples.load(int(index), p.short_side)  # as it is, not yet fitted
        fitted = examples.load(int(index), pipeline.loaded_size(p))
        seen = preprocess.evaluation(fitted, p).numpy()
        seen = preprocess.visible(seen, p, deviations=DEVIATIONS)
        label = labelling.text(examples.labels, int(index), names)
        result.append(Row([picture, seen, *images], [label, "", *texts]))
    return result


def sheet(found: Sequence[Row]) -> Image.Image:
    """Puts rows of pictures under one another, a heading over each column."""
    count = len(found[0].pictures)
    side = max(SMALLEST, max(picture.shape[0] for row in found for picture in row.pictures[1:]))
    step, height = side + GAP, side + GAP + LINE
    page = Image.new("RGB", (count * step + GAP, len(found) * height + LINE + GAP), "white")
    draw = ImageDraw.Draw(page)
    heads = [*COLUMNS, *(f"epoch {number}" for number in range(count - len(COLUMNS)))]
    writer = fonts.Writer([*heads, *(text for row in found for text in row.texts)], LINE - 4)
    for column, head in enumerate(heads):
        writer.draw(draw, (GAP + column * step, 1), head)
    for number, row in enumerate(found):
        top = LINE + GAP + number * height
        for column, (picture, text) in enumerate(zip(row.pictures, row.texts, strict=True)):
            left = GAP + column * step
            page.paste(_fitted(picture, side), (left, top))
            writer.draw(draw, (left, top + side + 1), _cut(text, writer, side))
    if writer.missing:
        warnings.warn(_without_font(writer.missing), stacklevel=2)
    return page


def write(page: Image.Image, path: Path) -> None:
    """Writes the PNG, whole or not at all.

    Raises:
      UsageError: There is another file, or the disk refuses.
    """
    if os.path.lexists(path) and not signed.is_by(path, PROGRAM):
        raise UsageError(f"cannot write {path} - there is something else; choose another --output")
    try:
        with atomic.replacing(path) as partial:
            signed.save(page, partial, PROGRAM)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"cannot write {path} - {why}; choose another --output") from error


def _preview(config: Config, own: Own) -> None:
    """Draws, and says what was drawn."""
    if own.pictures < 2 or own.versions < 1:
        raise UsageError("--pictures must be at least 2 and --versions at least 1")
    output = config.output or "preview.png"
    examples = _read(config)
    found = rows(examples, config, pictures=own.pictures, versions=own.versions)
    write(sheet(found), Path(output))
    print(f"{len(found)} of {len(examples):,} pictures in {output}")


def _read(config: Config) -> Examples:
    path = config.train_data_path
    with progress_bar.reporting(f"scanning {shown(path)}") as report:
        return source.read(path, "train", data.rules(config), report=report)


def _chosen(examples: Examples, count: int, seed: int) -> np.ndarray:
    """Pictures at random, every class in turn."""
    mixed = order.permutation(len(examples), seed, 0)
    labels = examples.labels[mixed]
    if examples.several:  # by the first of its classes, which none is before
        labels = np.where(labels.any(1), labels.argmax(1), -1)
    by_class = np.argsort(labels, kind="stable")
    sorted_labels = labels[by_class]
    starts = np.searchsorted(sorted_labels, sorted_labels)
    turn = np.empty(len(mixed), np.int64)
    turn[by_class] = np.arange(len(mixed)) - starts  # how many of its class come before
    return mixed[np.lexsort((labels, turn))][:count]


def _shares(label: np.ndarray, names: Sequence[str]) -> str:
    """The classes of a mixed picture and their parts, largest first."""
    best = [int(index) for index in np.argsort(-label, kind="stable")[:2] if label[index] >= 0.005]
    return ", ".join(f"{names[index]} {label[index]:.0%}" for index in best)


def _fitted(picture: np.ndarray, side: int) -> Image.Image:
    """A picture in a cell: enlarged by a whole number, or made smaller as a whole."""
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).convert("RGB")
    times = max(1, side // max(image.size))
    image = image.resize([times * n for n in image.size], Image.Resampling.NEAREST)
    image.thumbnail((side, side))
    cell = Image.new("RGB", (side, side), "white")
    left, top = ((side - n) // 2 for n in image.size)
    cell.paste(image, (left, top))
    return cell


def _without_font(missing: set[str]) -> str:
    """Says which letters of class names are drawn as escapes."""
    letters = "".join(sorted(missing))
    shown_letters = letters[:LETTERS] + ("..." if len(letters) > LETTERS else "")
    return (
        f"no font of this machine has the letters {shown_letters} - they are drawn as escapes; "
        "install one, for example the package fonts-noto-cjk"
    )


def _cut(text: str, writer: fonts.Writer, width: int) -> str:
    """As much of a text as fits."""
    while text and math.ceil(writer.width(text)) > width:
        text = text[:-1]
    return text


COMMAND = Command(
    __doc__,
    _preview,
    words=("train_data_path",),
    flags={
        "pictures": setting(8, "rows"),
        "versions": setting(6, "columns of changed pictures, one for each epoch"),
    },
    check=check_data,
    recipe=True,
)
