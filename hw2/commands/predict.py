"""Classifies pictures with a trained model.

    hw2 predict RUN PICTURES --output=answer.csv
    hw2 predict RUN test.npy --output=answer.csv --header=id,class

RUN, or --checkpoint_dir, is the run folder of a training. PICTURES, or --data, is a folder, a
picture, a list or an array, with labels or without. A damaged picture becomes a row with its
error, and the exit code is then 3 unless --on_bad_file=skip.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own
from hw2.config.settings import Config


def _predict(config: Config, own: Own) -> None:
    from hw2.jobs import predict  # imports TensorFlow, so only once the flags are read

    predict.predict(config)


COMMAND = Command(__doc__, _predict, words=("checkpoint_dir", "data"))
