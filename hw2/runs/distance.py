"""The distances of a run, `distance.npz`: where its classes lie in feature space.

Like a calibration it belongs to one checkpoint, to its averaged or its raw weights, and to the
test-time augmentation with which the features were computed.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path

import numpy as np

from hw2.errors import RunError, writing
from hw2.runs import atomic
from hw2.runs.calibration import check_curve
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import DISTANCE, RunFolder

FORMAT = 1
REMEDY = "it is made again where --reject_by=distance is given"


@dataclasses.dataclass(frozen=True)
class Distance:
    """What was fitted to the features of a run, `[D]` for each image.

    Attributes:
      step: The step of the checkpoint.
      digest: SHA-256 of its tensors.
      weights: Which of them, "ema" or "raw".
      tta: The test-time augmentation.
      num_fitted: How many training images the classes were fitted to.
      num_examples: How many held-out images the curve is of.
      centre: `[D]`, `whitening`: `[D, D]`, and `means`: `[classes, D]`, float32, see
        `hw2.training.mahalanobis.Gaussians`.
      curve: `[thresholds, 3]` float64: a threshold, the number of held-out images accepted and of
        these that are wrong, from the highest to the lowest. A threshold is the negative of a
        distance; the last one accepts all.
    """

    step: int
    digest: str
    weights: str
    tta: str
    num_fitted: int
    num_examples: int
    centre: np.ndarray
    whitening: np.ndarray
    means: np.ndarray
    curve: np.ndarray

    def fits(self, checkpoint: Checkpoint, weights: str, tta: str) -> bool:
        """Whether it belongs to these weights of a checkpoint, and this test-time augmentation."""
        own = (self.step, self.digest, self.weights, self.tta)
        return own == (checkpoint.step, checkpoint.digest, weights, tta)


ARRAYS = ("centre", "whitening", "means", "curve")


def write(folder: RunFolder, distance: Distance) -> Path:
    """Writes the distances of a run, in place of earlier ones.

    Raises:
      RunError: The disk refuses.
    """
    path = folder.path / DISTANCE
    values = {field.name: getattr(distance, field.name) for field in dataclasses.fields(distance)}
    arrays = {name: values.pop(name) for name in ARRAYS}
    about = np.array(json.dumps({"format": FORMAT} | values))
    with (
        writing(path, f"make room or repair the folder; {REMEDY}"),
        atomic.replacing(path) as partial,
        partial.open("wb") as file,
    ):
        np.savez(file, about=about, **arrays)
    return path


def read(folder: RunFolder) -> Distance | None:
    """Reads the distances of a run; None if it has none.

    Raises:
      RunError: The file cannot be read, or is something else.
    """
    path = folder.path / DISTANCE
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            about = json.loads(str(content["about"]))
            if about.pop("format", None) != FORMAT:
                raise ValueError(f"it is not of format {FORMAT}")
            found = Distance(**about, **{name: content[name] for name in ARRAYS})
        _check(found)
    except FileNotFoundError:
        return None
    except (
        *(OSError, EOFError, MemoryError, zipfile.BadZipFile),
        *(ValueError, TypeError, KeyError, AttributeError, RuntimeError),
    ) as error:
        raise RunError(f"bad distances in {path} - {error}; remove it, and {REMEDY}") from error
    return found


def _check(found: Distance) -> None:
    """Raises a `ValueError` if the arrays cannot be."""
    arrays = [getattr(found, name) for name in ARRAYS]
    if any(array.dtype.kind != "f" or not np.isfinite(array).all() for array in arrays):
        raise ValueError("its arrays must be finite numbers")
    size, classes = found.centre.size, len(found.means)
    shapes = [(size,), (size, size), (classes, size), (len(found.curve), 3)]
    if not size or not classes or [array.shape for array in arrays] != shapes:
        raise ValueError("the shapes of its arrays do not fit together")
    check_curve(found.curve.tolist(), found.num_examples)
