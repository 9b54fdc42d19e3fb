"""Writes the features of pictures, as an array and a list.

    hw2 embed RUN PICTURES --output=features.npz

RUN, or --checkpoint_dir, is the run folder of a training. PICTURES, or --data, is a folder, a
picture, a list or an array, with labels or without. Features are what the last dense layer of the
model is given. --output is an .npz with the arrays `features`, float32 [N, F], and `names`, or an
.npy of the features alone; a .csv of the same name has the name, the label, the answer and its
probability for each row. A damaged picture becomes a row of NaN with its error in the .csv, and
the exit code is then 3 unless --on_bad_file=skip.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own
from hw2.config.settings import Config


def _embed(config: Config, own: Own) -> None:
    from hw2.jobs import features  # imports TensorFlow, so only once the flags are read

    features.embed(config)


COMMAND = Command(__doc__, _embed, words=("checkpoint_dir", "data"))
