"""Evaluates a trained model: loss, top-1 and top-k accuracy.

    hw2 eval RUN
    hw2 eval RUN --test_data_path=FOLDER --top_k=3
    hw2 eval RUN --norun_once        # evaluate each new checkpoint as it comes

RUN, or --checkpoint_dir, is the run folder of a training. Without --test_data_path the pictures
that the training held out are evaluated.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own
from hw2.config.settings import Config


def _evaluate(config: Config, own: Own) -> None:
    from hw2.jobs import evaluate  # imports TensorFlow, so only once the flags are read

    evaluate.evaluate(config)


COMMAND = Command(__doc__, _evaluate, words=("checkpoint_dir",))
