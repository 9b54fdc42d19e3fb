"""Events of a run that need the settings or the data: the graph and pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from rich.console import Console

from hw2.config.settings import Config
from hw2.errors import DataError
from hw2.input import pipeline
from hw2.input.examples import Examples
from hw2.input.transforms import preprocess
from hw2.input.transforms.preprocess import Preprocessing
from hw2.jobs.spec import Spec, image_shape
from hw2.runs.folder import RunFolder
from hw2.training import events, watch
from hw2.training.events import Events
from hw2.training.learner import Learner
from hw2.training.loop import Run
from hw2.training.step import Steps

PICTURES = 8  # shown for each step


def opened(
    config: Config,
    folder: RunFolder,
    run: Run,
    learner: Learner,
    spec: Spec,
    out: Console,
) -> Events | None:
    """Opens the events of a run, if the settings ask for them; a new run begins with its graph."""
    if not config.tensorboard or run.stop_reason:
        return None
    found = events.opened(folder.path / "tensorboard", run.step)
    if found is None:
        out.print(
            "note: no TensorBoard here, so metrics.csv has the curves; pip install tensorboard"
        )
    elif found.new:
        found.graph(watch.model_graph(learner.model, image_shape(spec)))
    return found


def pictures(
    steps: Steps, examples: Examples, at: Callable[[int], np.ndarray], p: Preprocessing
) -> Callable[[int], dict[str, np.ndarray]]:
    """Makes the function that shows the first pictures of a step, as loaded and as augmented.

    Args:
      steps: Holds the batch of the last step.
      examples: Where pictures come from.
      at: From steps done before to the indices of the examples in a batch.
      p: The preprocessing of the training.
    """

    def look(step: int) -> dict[str, np.ndarray]:
        if steps.batch is None:  # an earlier process took the step
            return {}
        images = tf.distribute.get_strategy().experimental_local_results(steps.batch[0])[0]
        images = images[:PICTURES].numpy()
        found = {"pictures/2_augmented": preprocess.visible(images, p)}
        size = pipeline.loaded_size(p)
        with contextlib.suppress(DataError):  # training from memory needs no files any more
            loaded = [
                preprocess.central(tf.constant(examples.load(int(index), size)), p).numpy()
                for index in at(step - 1)[: len(images)]
            ]
            found["pictures/1_loaded"] = np.rint(loaded).astype(np.uint8)
        return found

    return look
