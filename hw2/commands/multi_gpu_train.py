"""Trains a model on several devices or machines at once.

    hw2 multi_gpu_train FOLDER --log_path=runs/mine
    hw2 multi_gpu_train --flagfile=config.cfg --num_gpus=2
    hw2 multi_gpu_train digits --logical_devices=2        # without GPUs: the CPU in two parts
    srun --ntasks=2 hw2 multi_gpu_train FOLDER --log_path=/shared/run       # two machines

The flags are those of `hw2 train`; --batch_size counts the pictures of all devices together.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own
from hw2.config.settings import Config


def _train(config: Config, own: Own) -> None:
    from hw2.jobs import train  # imports TensorFlow, so only once the flags are read

    train.train(config, mirrored=True)


COMMAND = Command(
    __doc__, _train, words=("train_data_path",), recipe=True, lasting=True, machines=True
)
