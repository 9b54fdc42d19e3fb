"""Writes the labels of a data set as a list, with corrections.

    hw2 mend FOLDER runs/mine-folds/suspects.csv --output=FOLDER/labels.csv
    hw2 mend images.npy,labels.csv runs/mine-folds/suspects.csv --output=mended.csv

PATH, or --train_data_path, is the data set whose labels `hw2 folds` doubted, and the second word is
its suspects.csv: remove the lines whose label is right, and correct the class where it should be
another. The list has all labels, and the data stay as they are. `hw2 train` is then given the list;
for arrays, the images and the list with a comma between.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own, check_data
from hw2.config.settings import Config
from hw2.errors import UsageError


def _mend(config: Config, own: Own) -> None:
    from hw2.jobs import mend  # imports TensorFlow, so only once the flags are read

    if len(own.rest) != 1:
        got = ", ".join(own.rest) or "none"
        raise UsageError(f"one list of corrections must be given, got {got}; see hw2 mend --help")
    mend.mend(config, own.rest[0])


COMMAND = Command(
    __doc__,
    _mend,
    words=("train_data_path",),
    many=True,
    reads=("output", "overwrite", "on_bad_file"),
    check=check_data,
)
