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
from hw2.training import multilabel

TOLERANCE = 1e-4  # of a probability
FAR = 1e-3  # of a distance, as a share of it: features are divided by small deviations


def measure(
    pictures: Sequence[Picture],
    found: Sequence[np.ndarray],
    thresholds: Sequence[float] | None = None,
) -> dict[str, Any]:
    """Measures how far the probabilities of an export are from those of prediction.

    Args:
      pictures: Images with what prediction says of them.
      found: What the export says of each, `[classes]`.
      thresholds: Of each class, where images have several labels.

    Returns:
      "same_top1", the fraction of images to which both give the same class, or one that prediction
      finds equally probable; or "same_labels", to which both give the same labels; and
      "largest_difference" of a probability.
    """
    apart = [np.abs(p.expected - row).max() for p, row in zip(pictures, found, strict=True)]
    pairs = zip(pictures, found, strict=True)
    same = float(np.mean([_same(picture, row, thresholds) for picture, row in pairs]))
    name = "same_top1" if thresholds is None else "same_labels"
    return {name: same, "largest_difference": float(np.max(apart))}


def measure_distances(
    pictures: Sequence[Picture], found: Sequence[float | None], threshold: float
) -> dict[str, float]:
    """Measures how far the distances of an export are from those of prediction.

    Args:
      pictures: Images with what prediction says of them.
      found: The distance that the export gives each.
      threshold: The negative of the distance from which on images are rejected.

    Returns:
      Nothing for an export without distances. "largest_distance_difference", as a share of the
      distance, and "same_rejected", the fraction of images that both reject or both accept.
    """
    if any(distance is None for distance in found):
        return {}
    expected, given = _distances(pictures, found)
    same = (expected > -threshold) == (given > -threshold)
    apart = _apart(expected, given)
    return {"largest_distance_difference": float(apart.max()), "same_rejected": float(same.mean())}


def check_distances(pictures: Sequence[Picture], found: Sequence[float | None], path: Path) -> None:
    """Refuses an export whose distances are not those of prediction.

    Raises:
      RunError: They are not; the message names the first image.
    """
    if any(distance is None for distance in found):
        return
    for picture, apart in zip(pictures, _apart(*_distances(pictures, found)), strict=True):
        if not apart <= FAR:
            raise RunError(
                f"not written: {path} - on {shown(picture.name)} the distance is {apart:.1e} of it "
                f"away from predict.py's, at most {FAR:.0e} is right; report this with the run's "
                "flags.cfg"
            )


def check(
    pictures: Sequence[Picture],
    found: Sequence[np.ndarray],
    path: Path,
    thresholds: Sequence[float] | None = None,
) -> None:
    """Refuses an export that does not agree with prediction on every image.

    Another class may come first where prediction finds it as probable, and a label may differ where
    its probability is on the threshold; both as near as probabilities agree.

    Raises:
      RunError: It does not; the message names the first image.
    """
    for picture, row in zip(pictures, found, strict=True):
        apart = np.abs(picture.expected - row).max()
        if not apart <= TOLERANCE or not _same(picture, row, thresholds, near=TOLERANCE):
            what = "another class comes first" if thresholds is None else "a label differs"
            raise RunError(
                f"not written: {path} - on {shown(picture.name)} a probability is {apart:.1e} away "
                f"from predict.py's, at most {TOLERANCE:.0e} is right, or {what}; "
                "report this with the run's flags.cfg"
            )


def int8_cost(
    pictures: Sequence[Picture],
    found: Sequence[np.ndarray],
    thresholds: Sequence[float] | None = None,
) -> dict[str, float | None]:
    """Top-1 accuracies, or mAP of several labels, of prediction and of the export with 8 bits."""
    if thresholds is not None:
        truth = np.stack([picture.label for picture in pictures])
        answers = {
            "float32_map": np.stack([picture.expected for picture in pictures]),
            "int8_map": np.stack(list(found)),
        }
        return {
            name: multilabel.scores(truth, rows, 0.0, thresholds).mean_average_precision
            for name, rows in answers.items()
        }
    labels = np.array([picture.label for picture in pictures])
    return {
        "float32_top1": float((np.array([p.expected.argmax() for p in pictures]) == labels).mean()),
        "int8_top1": float((np.array([row.argmax() for row in found]) == labels).mean()),
    }


def _same(
    picture: Picture, row: np.ndarray, thresholds: Sequence[float] | None, *, near: float = 0.0
) -> bool:
    """Whether prediction and the export give an image the same class, or the same labels.

    As the same class counts one that prediction finds at most `near` less probable than its own. A
    label may differ where its probability is at most `near` from the threshold.
    """
    if thresholds is None:
        return bool(picture.expected[row.argmax()] >= picture.expected.max() - near)
    cuts = np.asarray(thresholds)
    differ = (picture.expected >= cuts) != (row >= cuts)
    return not (differ & (np.abs(picture.expected - cuts) > near)).any()


def _distances(
    pictures: Sequence[Picture], found: Sequence[float | None]
) -> tuple[np.ndarray, np.ndarray]:
    """The distances of prediction and of the export, `[N]` each."""
    expected = np.array([picture.distance for picture in pictures], np.float64)
    return expected, np.array(found, np.float64)


def _apart(expected: np.ndarray, given: np.ndarray) -> np.ndarray:
    """How far distances are apart, as a share of them."""
    return np.abs(given - expected) / np.maximum(expected, 1)


def show(result: Mapping[str, Any], out: Console) -> None:
    """Prints what was written, and how well it agrees with prediction."""
    out.print(f"{result['output']}: {result['bytes'] / 1e6:.1f} MB, step {result['step']}")
    count, apart = result["checked"], result["largest_difference"]
    score = "top1" if "int8_top1" in result else "map"
    before, after = result.get(f"float32_{score}"), result.get(f"int8_{score}")
    if before is not None and after is not None:
        word = "top-1" if score == "top1" else "mAP"
        same = result.get("same_top1", result.get("same_labels"))
        out.print(
            f"on {count:,} pictures held out: {word} {after:.4f} with 8 bits, {before:.4f} with 32 "
            f"({100 * (after - before):+.2f} points); the answer is the same for {same:.1%}"
        )
    else:
        out.print(
            f"on {count:,} pictures held out: the answers are those of predict.py, the largest "
            f"difference of a probability is {apart:.1e}"
        )
    if "same_rejected" in result:
        far = result["largest_distance_difference"]
        rejected = f"{result['same_rejected']:.1%} are rejected or accepted as by predict.py"
        out.print(f"distances differ by at most {far:.1e} of them; {rejected}")
