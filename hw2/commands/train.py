"""Trains a model on one device.

    hw2 train digits
    hw2 train FOLDER --log_path=runs/mine
    hw2 train --flagfile=config.cfg --section=fashion_mnist

PATH, or --train_data_path, is a folder with one folder of pictures for each class, or any other
source that docs/data.md lists. digits and fashion_mnist bring the flags that suit them, as
config.cfg has them, unless --flagfile is given. Rerun the same command to resume a training that
was stopped.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own
from hw2.config.settings import Config


def _train(config: Config, own: Own) -> None:
    from hw2.jobs import train  # imports TensorFlow, so only once the flags are read

    train.train(config)


COMMAND = Command(__doc__, _train, words=("train_data_path",), recipe=True, lasting=True)
