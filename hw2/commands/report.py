"""Writes an HTML page about a run, or a comparison of several.

    hw2 report RUN
    hw2 report RUN --test_data_path=FOLDER --output=page.html
    hw2 report RUN1 RUN2

RUN, or --checkpoint_dir, is the run folder of a training. The page is RUN/report.html, or for
several runs RUN1/comparison.html, unless --output names another file. It describes the best
checkpoint on the pictures that the training held out; --checkpoint, --weights, --test_data_path,
--num_examples, --top_k and --batch_size change that, as they do for `hw2 eval`.
"""

from __future__ import annotations

from hw2.commands.command import Command, Own, run_folder
from hw2.config.settings import Config


def _report(config: Config, own: Own) -> None:
    from hw2.report import build  # imports TensorFlow, so only once the flags are read

    build.build([run_folder(config), *own.rest], config)


COMMAND = Command(__doc__, _report, words=("checkpoint_dir",), check=run_folder, many=True)
