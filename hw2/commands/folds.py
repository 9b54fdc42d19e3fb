"""Trains once for each fold or seed, and finds suspect labels.

    hw2 folds digits --folds=5
    hw2 folds FOLDER --folds=5 --log_path=runs/mine
    hw2 folds FOLDER --seeds=3

PATH, or --train_data_path, is a data set as for `hw2 train`. It is divided into folds, with as many
pictures of each class in all of them. Each training leaves one fold out and answers for it, so that
every picture is answered for by a model that has not seen it. With --seeds all trainings have the
same split, and differ by their seed alone.

A folder named as the run folder with -folds or -seeds behind it, as runs/mine-folds, gets a run
folder for each training, folds.json with means and spreads, folds.html, and for folds folds.csv
with all answers and suspects.csv with labels that are likely to be wrong. Rerun to resume.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own, check_data
from hw2.config.fields import setting
from hw2.config.rules import Rule
from hw2.config.settings import Config
from hw2.errors import UsageError

FOLDS = 5  # where nothing is said
SEVERAL = Rule("at least 2, or 0", lambda value: value >= 2 or value == 0)


def _folds(config: Config, own: Own) -> None:
    from hw2.jobs import folds  # imports TensorFlow, so only once the flags are read
    from hw2.report import folds as page

    if own.folds and own.seeds:
        raise UsageError(
            f"--folds and --seeds must not come together, got {own.folds} and {own.seeds}; give one"
        )
    page.build(folds.run(config, folds=own.folds or FOLDS, seeds=own.seeds))


COMMAND = Command(
    __doc__,
    _folds,
    words=("train_data_path",),
    flags={
        "folds": setting(0, f"trainings, each leaves one part out; 0: {FOLDS}", SEVERAL),
        "seeds": setting(0, "instead, trainings with one split and so many seeds", SEVERAL),
    },
    check=check_data,
    recipe=True,
    lasting=True,
)
