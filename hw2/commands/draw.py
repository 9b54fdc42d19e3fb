"""Draws a convolution as a moving picture.

    hw2 draw --kernel=3 --stride=2 --output=window.svg
    hw2 draw --kernel=2x3 --dilation=2 --padding=VALID --size=6x7 --output=window.gif
    hw2 draw --transposed --stride=2 --size=3x3 --output=transposed.html
    hw2 draw --gradient=filters --picture=cat.jpg --output=gradient.svg

The ending of --output says what is written: .gif, .svg (which moves by itself), or .html (a page to
step through). Without --picture the pixels are 1, 2, 3 and so on; a picture is shrunk to --size and
drawn in grey levels from 0 to 9.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hw2.commands.command import Command, Own
from hw2.config.fields import setting
from hw2.config.rules import Rule, one_of
from hw2.config.settings import Config
from hw2.errors import DataError, UsageError, writing
from hw2.runs import atomic

GRADIENTS = ("", "images", "filters")
THEMES = ("auto", "light", "dark")
LARGEST = 16  # rows or columns of an image
WEIGHTS = (1, 0, -1, 2)  # in turn
UP_TO_60 = Rule("in (0, 60]", lambda value: 0 < value <= 60)


def _draw(config: Config, own: Own) -> None:
    """Draws, and says what was drawn."""
    from hw2.drawing import film as films
    from hw2.drawing import write
    from hw2.ops.geometry import Window

    output = Path(config.output or "convolution.svg")
    if output.suffix not in write.WRITERS:
        endings = " or ".join(write.WRITERS)
        raise UsageError(f"--output must end in {endings}, got {str(output)!r}")
    if os.path.lexists(output) and not config.overwrite:
        raise UsageError(f"cannot write {output} - it is there already; --overwrite, or --output")
    if own.transposed and own.gradient:
        raise UsageError("--transposed and --gradient must not both be given, they are two films")
    kernel = _pair("kernel", own.kernel)
    size = _pair("size", own.size)
    if max(size) > LARGEST or max(kernel) > LARGEST:
        raise UsageError(f"--size and --kernel must be at most {LARGEST}, more cannot be seen")
    window = Window(
        kernel, _pair("stride", own.stride), _padding(own.padding), _pair("dilation", own.dilation)
    )
    image = _pixels(own.picture, size) if own.picture else _counted(size)
    weights = np.resize(np.array(WEIGHTS, float), kernel)
    way = "transposed" if own.transposed else own.gradient or "forward"
    try:
        film = films.draw(image, weights, window, way=way)
    except ValueError as error:  # the window does not fit
        raise UsageError(str(error).rstrip(".")) from error
    with writing(output, "give another --output"), atomic.replacing(output) as partial:
        write.WRITERS[output.suffix](film, partial, seconds=own.seconds, theme=own.theme)
    print(f"{len(film.frames) - 1} positions in {output}, {output.stat().st_size:,} bytes")


def _pair(flag: str, text: str) -> tuple[int, int]:
    """Reads 3, or 2x3."""
    found = re.fullmatch(r"([1-9]\d{0,2})(?:x([1-9]\d{0,2}))?", text)
    if not found:
        raise UsageError(f"--{flag} must be a number, or ROWSxCOLUMNS as 2x3, got {text!r}")
    return int(found[1]), int(found[2] or found[1])


def _padding(text: str) -> Any:
    """Reads SAME, VALID, 1, or top,bottom,left,right."""
    if text.upper() in ("SAME", "VALID"):
        return text.upper()
    values = [int(part) for part in text.split(",") if re.fullmatch(r"\d{1,2}", part)]
    if len(values) == 1 == len(text.split(",")):
        values *= 4
    if len(values) != 4 or len(text.split(",")) not in (1, 4):
        raise UsageError(
            f"--padding must be SAME, VALID, a number, or TOP,BOTTOM,LEFT,RIGHT, got {text!r}"
        )
    return (values[0], values[1]), (values[2], values[3])


def _counted(size: tuple[int, int]) -> np.ndarray:
    """1, 2, 3 and so on, to 9, then again."""
    return (np.arange(size[0] * size[1]) % 9 + 1.0).reshape(size)


def _pixels(path: str, size: tuple[int, int]) -> np.ndarray:
    """A picture in grey levels from 0 to 9."""
    try:
        with Image.open(path) as picture:
            small = picture.convert("L").resize((size[1], size[0]), Image.Resampling.BOX)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read {path} - {error}; give another --picture") from error
    return np.round(np.asarray(small, float) * 9 / 255)


COMMAND = Command(
    __doc__,
    _draw,
    flags={
        "kernel": setting("3", "rows and columns of the window, as 3 or 2x3"),
        "stride": setting("1", "steps of the window, as 2 or 1x2"),
        "dilation": setting("1", "distances of neighbouring taps, likewise"),
        "padding": setting("SAME", "SAME, VALID, a number, or TOP,BOTTOM,LEFT,RIGHT"),
        "transposed": setting(False, "the transposed convolution"),
        "gradient": setting("", "images or filters: that gradient", one_of(*GRADIENTS)),
        "size": setting("5", "rows and columns of the image, as 5 or 4x6"),
        "picture": setting("", "a picture to shrink to that size", path=()),
        "seconds": setting(1.0, "for which a position is seen", UP_TO_60),
        "theme": setting("auto", "colours: auto, light or dark", one_of(*THEMES)),
    },
    reads=("output", "overwrite", "debug"),
)
