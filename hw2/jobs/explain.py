"""Pictures of an explanation: each classified picture, and beside it where its class comes from."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from hw2.drawing import fonts, signed
from hw2.errors import DataError, RunError, UsageError, writing
from hw2.input.files import decode
from hw2.input.files.frame import Frame, Size
from hw2.input.sources.unlabelled import Pictures
from hw2.input.transforms import preprocess
from hw2.jobs import answers, gradcam, spec
from hw2.jobs.answers import Answer
from hw2.jobs.guess import Guess, Guesser
from hw2.runs import atomic
from hw2.runs.checkpoints import Checkpoint

SIDE = 224  # pixels of the picture and of its heat map
PROGRAM = "hw2 predict --explain"  # in our files, which --overwrite may replace
_GAP, _LINE, _LETTERS = 8, 28, 15  # pixels: between the two, the caption, its letters
_AT_ONCE = 16  # pictures whose gradients are taken at once
_NAME = 100  # bytes of a picture's name in the name of its file


class Explainer:
    """Writes a PNG for each answer: the picture, and the Grad-CAM of its likeliest class."""

    def __init__(self, folder: Path, model: tf.Module, checkpoint: Checkpoint, found: Pictures):
        """Compiles the heat map of a model.

        Args:
          folder: Where to write; it exists.
          model: The model.
          checkpoint: The checkpoint of the model.
          found: The pictures that are classified.

        Raises:
          RunError: No layer of the model has maps that show a place.
        """
        identity = checkpoint.state["identity"]
        target = gradcam.target_of(model, spec.image_shape(identity))
        if target is None:
            least = gradcam.FEWEST
            raise RunError(
                f"no heat maps in {checkpoint.path} - Grad-CAM shows where something is by a stage "
                f"whose maps have at least {least}x{least} positions, and this model has none; "
                "leave out --explain, or train with a larger --image_size"
            )

        @tf.function(autograph=False)
        def heat(images: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
            return gradcam.heat(model, images, classes, target)

        self.count = self._start = 0
        self._folder, self._heat, self._found = folder, heat, found
        self._preprocessing = spec.preprocessing(identity)
        self._class_names: list[str] = identity["class_names"]
        self._writer = fonts.Writer([*self._class_names, _caption("", 0, "", True)], _LETTERS)
        self._digits = len(str(len(found) - 1))

    def watching(self, guess: Guesser) -> Guesser:
        """Returns the same function, but its images and classes are kept until the next call."""

        def watched(images: tf.Tensor) -> Guess:
            self._images, self._heats = images, np.zeros(0)
            found = guess(images)
            self._classes = found.classes[:, 0]
            return found

        return watched

    def write(self, one: Answer) -> None:
        """Writes the PNG of an answer of the last batch; none where there is no answer."""
        if one.error:
            return
        row = one.number % len(self._images)
        levels = self._levels(one.number, self._images[row])
        page = drawn(levels, self._heat_of(row), self._text(one), self._writer)
        path = self._folder / file_name(one.number, one.name, self._digits)
        signed.save(page, path, PROGRAM)
        self.count += 1

    def _heat_of(self, row: int) -> np.ndarray:
        """The heat map of a row of the last batch, `[h, w]`, computed together with its next."""
        start = row - row % _AT_ONCE
        if not len(self._heats) or start != self._start:
            rows = slice(start, start + _AT_ONCE)
            self._start = start
            self._heats = self._heat(self._images[rows], self._classes[rows]).numpy()
        return self._heats[row - start]

    def _levels(self, number: int, image: tf.Tensor) -> np.ndarray:
        """The part of a picture that the model sees, in its own colours, uint8 `[h, w, c]`."""
        p = self._preprocessing
        size: Size = SIDE if p.fit == "crop" else Frame(SIDE, p.fit, round(p.fill))
        try:
            picture = self._found.load(number, size)
        except DataError:  # it was there a moment ago
            return decode.resize(preprocess.visible(image.numpy(), p), SIDE)
        top, left = ((length - SIDE) // 2 for length in picture.shape[:2])
        return picture[top : top + SIDE, left : left + SIDE]

    def _text(self, one: Answer) -> str:
        label = self._class_names[one.label] if one.label not in (-1, one.guesses[0]) else ""
        name = self._class_names[one.guesses[0]]
        return _caption(name, one.probabilities[0], label, one.rejected)


@contextlib.contextmanager
def opened(
    folder: str, model: tf.Module, checkpoint: Checkpoint, found: Pictures
) -> Iterator[Explainer | None]:
    """Yields what writes into a folder that appears when the block ends without an exception.

    Args:
      folder: The folder, as `check` has accepted it; none without a name.
      model: The model.
      checkpoint: The checkpoint of the model.
      found: The pictures that are classified.

    Raises:
      RunError: The model has no heat maps, or the disk refuses.
    """
    if not folder:
        yield None
        return
    with (
        writing(folder, "make room or mend the folder, and start again"),
        atomic.replacing(folder) as partial,
    ):
        partial.mkdir()
        yield Explainer(partial, model, checkpoint, found)


def check(folder: str, data: str, output: str, *, overwrite: bool) -> None:
    """Refuses a folder that could not be written, before any work is done.

    Args:
      folder: The setting `explain`; nothing is refused without one.
      data: The pictures that are classified.
      output: The file of answers.
      overwrite: Whether a folder that holds nothing but heat maps of before may be replaced.

    Raises:
      UsageError: It holds something else, or is in the way of the other two.
    """
    if not folder:
        return
    place = os.path.realpath(folder)
    if _within(place, os.path.realpath(data)):
        raise UsageError(
            f"--explain={folder} is within {data}, whose pictures are classified; give another"
        )
    if output != answers.STDOUT and _within(os.path.realpath(output), place):
        raise UsageError(f"--output={output} is within --explain={folder}; give another")
    answers.check_parent("--explain", folder)
    if not os.path.lexists(folder):
        return
    if not os.path.isdir(folder) or os.path.islink(folder):
        raise UsageError(f"--explain must be a folder, {folder} is none; give another")
    names = os.listdir(folder)
    if names and not overwrite:
        raise UsageError(f"--explain={folder} is there already; give another, or --overwrite")
    if other := next(
        (name for name in names if not signed.is_by(Path(folder, name), PROGRAM)), None
    ):
        raise UsageError(
            f"--explain={folder} holds something else than heat maps, {other}; give another"
        )


def drawn(levels: np.ndarray, heat: np.ndarray, text: str, writer: fonts.Writer) -> Image.Image:
    """Draws a picture, its heat map to the right of it, and a line of text below.

    Args:
      levels: uint8 `[SIDE, SIDE, 1 or 3]`, the picture.
      heat: `[h, w]`, from 0 to 1.
      text: The text; its end is left out where it is too long.
      writer: Fonts that have its letters.
    """
    picture = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    hot = Image.fromarray(gradcam.overlay(np.asarray(picture.convert("L")), heat))
    page = Image.new("RGB", (2 * SIDE + _GAP, SIDE + _LINE), "white")
    page.paste(picture, (0, 0))
    page.paste(hot, (SIDE + _GAP, 0))
    while writer.width(text) > page.width - 4:
        text = text[:-1]
    writer.draw(ImageDraw.Draw(page), (4, SIDE + 4), text)
    return page


def file_name(number: int, name: str, digits: int) -> str:
    """Names the file of a picture: its number, which no other has, and as much of its name.

    Only letters, digits and `_`, `.` and `-` of a name are kept, whose suffix is left out.
    """
    counted = f"{number:0{digits}}"
    if name == str(number):
        return f"{counted}.png"
    bare = re.sub(r"[^\w.-]+", "_", os.path.splitext(name)[0])
    short = bare.encode("utf-8", "ignore")[-_NAME:].decode("utf-8", "ignore")
    return f"{counted}-{short}.png"


def _caption(name: str, probability: float, label: str, rejected: bool) -> str:
    words = f"{100 * probability:.1f} %  {name}"
    words += f", labelled {label}" if label else ""
    return f"{words}, rejected" if rejected else words


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))
