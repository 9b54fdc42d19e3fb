"""The flags that suit the built-in data sets, for `hw2 train digits` without a flagfile.

They are the sections of config.cfg at the root of the project, which the package does not hold;
a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hw2.config.choices import DATA_SETS

FILE = Path(__file__).with_name("recipes.cfg")


def added(flags: Sequence[str]) -> list[str]:
    """Puts the flagfile of the recipes before flags that name a built-in data set.

    Args:
      flags: Those of a command line, each as `--name=value` or `--name`.
    """
    given = [flag.partition("=") for flag in flags]
    data = [value for name, _, value in given if name == "--train_data_path"]
    chosen = any(name in ("--flagfile", "--section") for name, _, _ in given)
    if chosen or not data or data[-1] not in DATA_SETS:
        return list(flags)
    return [f"--flagfile={FILE}", f"--section={data[-1]}", *flags]
