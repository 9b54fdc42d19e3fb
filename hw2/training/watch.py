"""Histograms of weights and gradients, and pictures, for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from hw2.training.events import Events
from hw2.training.learner import Learner
from hw2.training.loop import Run


class Watch:
    """A hook that writes histograms and pictures at every `n`-th step and the last.

    Gradients are those that the optimizer took, for the whole batch and clipped. They are computed
    from what the step has changed, so that nothing is computed twice and training is unaffected.

    Cost: two copies of the weights, and a histogram of every weight each time.
    """

    def __init__(
        self,
        events: Events,
        learner: Learner,
        n: int,
        pictures: Callable[[int], Mapping[str, np.ndarray]],
    ):
        """Makes the hook.

        Args:
          events: Where to write.
          learner: The learner to watch.
          n: Steps between two writes.
          pictures: Function from a step to uint8 pictures `[N, H, W, C]` by name.
        """
        self._events, self._learner, self._n, self._pictures = events, learner, n, pictures
        self._before: dict[str, np.ndarray] | None = None
        self._before_step = -1

    def __call__(self, run: Run) -> None:
        """Writes if this step is due; copies the optimizer's traces if the next one is."""
        if self._due(run.step, run):
            weights = self._learner.trainable
            values = {f"weights/{name}": variable.numpy() for name, variable in weights.items()}
            if self._before is not None and self._before_step == run.step - 1:
                gradients = self._learner.gradients(self._before, run.rate)
                values |= {f"gradients/{name}": value for name, value in gradients.items()}
            self._events.histograms(run.step, values)
            for name, pictures in self._pictures(run.step).items():
                self._events.pictures(run.step, name, pictures)
            self._events.flush()
        self._before = None
        if self._due(run.step + 1, run):
            traces = self._learner.optimizer.traces
            self._before = {name: trace.numpy() for name, trace in traces.items()}
            self._before_step = run.step

    def _due(self, step: int, run: Run) -> bool:
        return step % self._n == 0 or step == run.last_step


def model_graph(model: tf.Module, image_shape: tuple[int, int, int]) -> tf.Graph:
    """Traces the graph of a model.

    Args:
      model: The model, called with a batch `[N, H, W, C]`.
      image_shape: (H, W, C).
    """
    spec = tf.TensorSpec([None, *image_shape], tf.float32, name="images")
    traced = tf.function(lambda images: model(images), input_signature=[spec], autograph=False)
    return traced.get_concrete_function().graph
