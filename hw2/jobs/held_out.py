"""What a trained run says of images that it was not trained on: logits, kept beside the run."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from hw2.errors import RunError, writing
from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.jobs.spec import preprocessing
from hw2.runs import atomic
from hw2.runs.checkpoints import Checkpoint

FILE = "held_out.npz"


class HeldOut(NamedTuple):
    """Logits of a run.

    Attributes:
      step: Of the checkpoint that gave them.
      logits: `[N, classes]` float32, of the held-out images in the order of the data.
      test: `[M, classes]` float32, of the test images; M is 0 where there are none.
    """

    step: int
    logits: np.ndarray
    test: np.ndarray


def asker(
    model: tf.Module, checkpoint: Checkpoint, batch_size: int
) -> Callable[[Examples, np.ndarray], np.ndarray]:
    """Makes the function from examples and indices `[N]` to logits `[N, classes]` float32.

    It raises a RunError if a logit is not finite.

    Args:
      model: The model, with weights of the checkpoint.
      checkpoint: Says how images are preprocessed.
      batch_size: Images at a time.
    """
    prepared = preprocessing(checkpoint.state["identity"])
    logits_of = tf.function(lambda images: model(images, training=False), autograph=False)

    def ask(examples: Examples, indices: np.ndarray) -> np.ndarray:
        batches = pipeline.evaluation_batches(
            examples, indices, prepared, batch_size=batch_size, cache_mb=0
        )
        with pipeline.naming_errors():
            found = [
                logits_of(images).numpy()[present.numpy() > 0] for images, _, present in batches
            ]
        logits = np.concatenate(found).astype(np.float32)
        if not np.isfinite(logits).all():
            raise RunError(
                f"answers that are not finite from {checkpoint.path} - the weights have diverged; "
                "start again in another --log_path with a lower --learning_rate"
            )
        return logits

    return ask


def write(run: Path, found: HeldOut) -> None:
    """Writes the logits into a run folder, whole or not at all.

    Raises:
      RunError: The disk refuses.
    """
    path = run / FILE
    with writing(path), atomic.replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, step=found.step, logits=found.logits, test=found.test)


def read(run: Path, count: int, classes: int, tested: int) -> HeldOut | None:
    """Reads the logits of a run.

    Args:
      run: The run folder.
      count: Held-out images that there must be.
      classes: Classes that there must be.
      tested: Test images that there must be.

    Returns:
      None if there are none, or they are damaged or of other data; they are computed again.
    """
    try:
        with np.load(run / FILE, allow_pickle=False) as file:
            found = HeldOut(int(file["step"]), file["logits"], file["test"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = found.logits.shape == (count, classes) and len(found.test) == tested
    return found if fits else None
