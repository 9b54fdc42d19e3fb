"""Fits the probabilities of a run to its held-out pictures.

    hw2 calibrate RUN
    hw2 calibrate RUN --checkpoint=last --weights=raw
    hw2 calibrate RUN --tta=flip

RUN, or --checkpoint_dir, is the run folder of a training. A training calibrates its best
checkpoint at its end; this command is for runs of older versions, for trainings that were stopped,
and for other checkpoints, weights and --tta. It writes RUN/calibration.json: the temperature, which
eval, predict, report and export then apply to that checkpoint, and how many of the pictures that
the training held out each threshold would reject (--reject_below).
"""

from __future__ import annotations

from hw2.commands.command import Command, Own, run_folder
from hw2.config.settings import Config


def _calibrate(config: Config, own: Own) -> None:
    from hw2.jobs import calibration  # imports TensorFlow, so only once the flags are read

    calibration.calibrate(config)


COMMAND = Command(
    __doc__,
    _calibrate,
    words=("checkpoint_dir",),
    reads=("checkpoint", "weights", "tta", "train_data_path", "batch_size"),
    check=run_folder,
)
