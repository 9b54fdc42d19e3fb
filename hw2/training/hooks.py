"""The evaluation hook, which also decides on the learning rate and on early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable

from hw2.errors import NotFinite
from hw2.training.loop import Run
from hw2.training.multilabel import AnyScores
from hw2.training.plateau import Plateau


class Evaluation:
    """Scores the model, keeps the best scores, and applies the plateau rule."""

    def __init__(
        self,
        evaluate: Callable[[], AnyScores],
        plateau: Plateau,
        best: AnyScores | None,
        *,
        best_by: str = "top1",
    ):
        """Makes the hook, with what earlier evaluations of the run have found.

        Args:
          evaluate: Scores the averaged weights on the held-out pictures.
          plateau: The plateau rule; updated at each evaluation.
          best: Scores at `plateau.best_step`; None before the first evaluation.
          best_by: The score that the plateau rule watches, see `by` of the scores.
        """
        self._evaluate, self._plateau, self.best = evaluate, plateau, best
        self._best_by = best_by
        self._before = best, plateau.best_step  # the best without this step

    def __call__(self, run: Run) -> None:
        """Evaluates this step.

        Raises:
          NotFinite: The averaged weights have diverged.
        """
        scores = run.validation = self._evaluate()
        loss = scores.loss
        if not math.isfinite(loss):
            raise NotFinite(
                f"validation loss is {loss} in step {run.step} - the weights have diverged at "
                f"learning rate {run.rate:g}; lower --learning_rate and start again, from the "
                "last checkpoint if there is one"
            )
        self._before = self.best, self._plateau.best_step
        score = scores.by(self._best_by)
        self._plateau.update(score, run.step)
        # What the plateau rule has seen may be higher, if the disk refused the checkpoint of it.
        if self.best is None or not score <= self.best.by(self._best_by):
            self.best, self._plateau.best_step = scores, run.step
        if self._plateau.exhausted:
            run.stop(f"no gain over {self._plateau.without_gain} evaluations")

    def forget(self, step: int) -> None:
        """Lets the best be what it was before this step, which has no checkpoint.

        The plateau rule still counts it: the course of a training never depends on its disk.
        """
        if self._plateau.best_step == step:
            self.best, self._plateau.best_step = self._before
