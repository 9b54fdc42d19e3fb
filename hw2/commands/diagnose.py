"""Says what the curves of a run show, and what to try next.

    hw2 diagnose RUN

RUN, or --checkpoint_dir, is the run folder of a training, running or finished.
"""

from __future__ import annotations

from pathlib import Path

from hw2.commands.command import Command, Own, run_folder
from hw2.config.settings import Config
from hw2.runs import diagnosis


def _diagnose(config: Config, own: Own) -> None:
    for sentence in diagnosis.diagnose_file(Path(run_folder(config)) / "metrics.csv"):
        print(sentence)


COMMAND = Command(
    __doc__,
    _diagnose,
    words=("checkpoint_dir",),
    check=run_folder,
    reads=("checkpoint_dir", "log_path"),
    tensorflow=False,
)
