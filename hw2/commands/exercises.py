"""Lays out exercises in convolution, which grade themselves.

    hw2 exercises FOLDER
    hw2 grade FOLDER/1_unfold.py

Each file explains what to write, and has an empty function. Begin with FOLDER/README.md. Files that
are there already are left as they are.
"""

from __future__ import annotations

from pathlib import Path

from hw2.commands.command import Command, Own
from hw2.config.settings import Config
from hw2.errors import UsageError
from hw2.exercises import lay_out
from hw2.exercises.course import EXERCISES


def _exercises(config: Config, own: Own) -> None:
    """Writes the files, and says what they are."""
    if len(own.rest) != 1:
        raise UsageError("no folder for the exercises - give one: hw2 exercises FOLDER")
    folder = Path(own.rest[0])
    written = {path.name for path in lay_out.lay_out(folder)}
    for exercise in EXERCISES:
        there = "" if exercise.file in written else "  (was there, left as it is)"
        print(f"{exercise.file:18} {exercise.about}{there}")
    print(f"read {folder / lay_out.FIRST} first, then hw2 grade {folder / EXERCISES[0].file}")


COMMAND = Command(
    __doc__,
    _exercises,
    many=True,
    reads=("debug",),
    tensorflow=False,
)
