"""Whether an export says of images what prediction says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from hw2.errors import RunError
from hw2.export.samples import Picture
from hw2.input.files.names import shown

TOLERANCE = 1e-4  # of a probability


def measure(pictures: Sequence[Picture], found: Sequence[np.ndarray]) -> dict[str, Any]:
    """Measures how far the probabilities of an export are from those of prediction.

    Args:
      pictures: Images with what prediction says of them.
      found: What the export says of each, `[classes]`.

    Returns:
      "same_top1", the fraction of images to which both give the same class, and
      "largest_difference" of a probability.
    """
    same = [p.expected.argmax() == row.argmax() for p, row in zip(pictures, found, strict=True)]
    apart = [np.abs(p.expected - row).max() for p, row in zip(pictures, found, strict=True)]
    return {"same_top1": float(np.mean(same)), "largest_difference": float(np.max(apart))}


def check(pictures: Sequence[Picture], found: Sequence[np.ndarray], path: Path) -> None:
    """Refuses an export that does not agree with prediction on every image.

    Raises:
      RunError: It does not; the message names the first image.
    """
    for picture, row in zip(pictures, found, strict=True):
        apart = np.abs(picture.expected - row).max()
        if not apart <= TOLERANCE or picture.expected.argmax() != row.argmax():
            raise RunError(
                f"not written: {path} - on {shown(picture.name)} a probability is {apart:.1e} away "
                f"from predict.py's, at most {TOLERANCE:.0e} is right, or another class comes "
                "first; report this with the run's flags.cfg"
            )


def int8_cost(pictures: Sequence[Picture], found: Sequence[np.ndarray]) -> dict[str, float]:
    """Top-1 accuracies of prediction and of the export with 8 bits."""
    labels = np.array([picture.label for picture in pictures])
    return {
        "float32_top1": float((np.array([p.expected.argmax() for p in pictures]) == labels).mean()),
        "int8_top1": float((np.array([row.argmax() for row in found]) == labels).mean()),
    }


def show(result: Mapping[str, Any], out: Console) -> None:
    """Prints what was written, and how well it agrees with prediction."""
    out.print(f"{result['output']}: {result['bytes'] / 1e6:.1f} MB, step {result['step']}")
    count, apart = result["checked"], result["largest_difference"]
    if "int8_top1" in result:
        before, after = result["float32_top1"], result["int8_top1"]
        out.print(
            f"on {count:,} pictures held out: top-1 {after:.4f} with 8 bits, {before:.4f} with 32 "
            f"({100 * (after - before):+.2f} points); the answer is the same for "
            f"{result['same_top1']:.1%}"
        )
    else:
        out.print(
            f"on {count:,} pictures held out: the answers are those of predict.py, the largest "
            f"difference of a probability is {apart:.1e}"
        )
