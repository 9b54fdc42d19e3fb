"""The levels of arrays: which value stands for white, and how values become bytes.

Everything downstream works on uint8 levels from 0 to 255. A file says what its white is; an array
does not, so it is found from all values once, recorded with the model, and used from then on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hw2.errors import DataError
from hw2.input.files.names import shown

TOLERANCE = 1e-3  # of white: what rounding in float16 or a change of colour space adds
DARK = 8  # an array whose highest value is below this fraction of white is on another scale
FULL = {"uint8": 255, "uint16": 65535}
FLAG = "--levels"


class Scale(NamedTuple):
    """The value that stands for white in arrays of one kind.

    Attributes:
      kind: "uint8", "uint16" or "float".
      white: The value.
    """

    kind: str
    white: float


class Range(NamedTuple):
    """The lowest and the highest value of each image, `[N]` float64; NaN for a bad image."""

    lowest: np.ndarray
    highest: np.ndarray


def kind_of(dtype: np.dtype) -> str:
    """Returns the kind of an array: "float" for floats of any width, else the name of the dtype."""
    return "float" if dtype.kind == "f" else dtype.name


def find(
    path: str, kind: str, values: Range, *, given: float = 0.0, known: Scale | None = None
) -> tuple[Scale, tuple[str, ...]]:
    """Finds the scale of an array.

    Args:
      path: The file, for messages.
      kind: As `kind_of`.
      values: The range of every image.
      given: The value of white, if the user says it; 0 if not.
      known: The scale of the training data, which arrays of its kind must have too.

    Returns:
      The scale, and notes.

    Raises:
      DataError: The values fit no scale, or not the known one.
    """
    good = values.highest[np.isfinite(values.highest)]
    highest = float(good.max()) if len(good) else 0.0
    if given:
        return Scale(kind, given), ()
    if known and known.kind == kind:
        if 0 < highest < known.white / DARK:
            raise _bad(
                path,
                f"its highest value is {highest:g}, where white is {known.white:g} in the "
                "training data",
                f"give {FLAG}={_white(kind, highest):g} if that is white here, or "
                f"{FLAG}={known.white:g} if the pictures are so dark",
            )
        return known, ()
    if kind == "float":
        return Scale(kind, _white_of_floats(path, values.highest, highest)), ()
    full = FULL[kind]
    if not 0 < highest < full / 2:
        return Scale(kind, full), ()
    words = f"the highest {kind} value is {highest:g}, of {full}"
    white = _white(kind, highest)
    if kind == "uint16" and highest < full / DARK:
        raise _bad(
            path,
            f"{words}, so that its pictures would have {int(highest) // 257 + 1} of 256 levels",
            f"give {FLAG}={white:g} if that is white, or {FLAG}={full} if the pictures are so dark",
        )
    return Scale(kind, full), (f"{words}; {FLAG}={white:g} makes that white",)


def misfits(path: str, scale: Scale, values: Range) -> dict[int, DataError]:
    """Returns the error about each image whose values are above white, by its index."""
    with np.errstate(invalid="ignore"):  # NaN, which compares false
        above = values.highest > scale.white * (1 + TOLERANCE)
    return {
        index: _bad(
            path,
            f"image {index} has values in [{values.lowest[index]:g}, {values.highest[index]:g}], "
            f"beyond {scale.white:g}, which is white",
            f"correct it, or give the value of white as {FLAG}",
        )
        for index in np.flatnonzero(above).tolist()
    }


def to_bytes(image: np.ndarray, scale: Scale) -> np.ndarray:
    """Converts an image to uint8; 16-bit values keep their high byte, as in PNG files."""
    if scale.white == FULL.get(scale.kind):
        return np.asarray(image) if scale.kind == "uint8" else (image >> 8).astype(np.uint8)
    levels = np.rint(image.astype(np.float32) * (255.0 / scale.white))
    return np.clip(levels, 0, 255).astype(np.uint8)


def plain(scale: Scale | None) -> dict[str, object] | None:
    """The scale as JSON, for a checkpoint."""
    return scale and scale._asdict()


def from_plain(found: dict | None) -> Scale | None:
    """Reads what `plain` made; None for checkpoints from before there were scales."""
    return Scale(str(found["kind"]), float(found["white"])) if found else None


def _white_of_floats(path: str, each: np.ndarray, highest: float) -> float:
    """Returns 1 or 255, whichever the highest values of all images fit."""
    if highest <= 1 + TOLERANCE:
        return 1.0
    if np.median(each[np.isfinite(each)]) <= 1 + TOLERANCE:
        return 1.0  # the images that go beyond it are the ones in error
    if highest < 255 / (2 * DARK):
        raise _bad(
            path,
            f"its highest value is {highest:g}, which fits neither [0, 1] nor [0, 255]",
            f"give the value of white as {FLAG}, such as {FLAG}={highest:g} or {FLAG}=255",
        )
    return 255.0


def _white(kind: str, highest: float) -> float:
    """Guesses white from the highest value: 1 or 255, or all bits of an integer set."""
    if kind == "float":
        return 1.0 if highest <= 1 + TOLERANCE else 255.0
    return float((1 << int(highest).bit_length()) - 1)


def _bad(path: str, why: str, remedy: str) -> DataError:
    return DataError(f"bad array in {shown(path)} - {why}; {remedy}")
