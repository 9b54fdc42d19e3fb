"""A setting, as a field of a dataclass that knows its flag."""

import dataclasses
import functools
from collections.abc import Collection
from typing import Any

from hw2.config.rules import ANYTHING, Rule


def setting(
    default: Any,
    text: str,
    rule: Rule = ANYTHING,
    group: str = "",
    *,
    kind: str = "",
    path: Collection[str] | None = None,
    switch: bool = False,
) -> Any:
    """A field of `Config`, with all that is known of its flag.

    Args:
      default: What it is when not given; its type is that of the flag.
      text: For `--help`.
      rule: What values are allowed.
      group: The heading that it opens in `--help`.
      kind: Where else it is written down, as the three functions below say; "" for nowhere.
      path: For a path, the words that may stand there and are none; None if it is no path.
      switch: Whether a text may be given as a switch is, `--name` for "true" and `--noname`.
    """
    metadata = dict(text=text, rule=rule, group=group, kind=kind, path=path, switch=switch)
    return dataclasses.field(default=default, metadata=metadata)


# It may change within a run: a checkpoint records it, and resuming with another value warns.
recorded = functools.partial(setting, kind="recorded")
# It is an argument of some models and not of others, and cannot change within a run.
model_option = functools.partial(setting, kind="model option")
# It concerns one command, so `flags.cfg`, which repeats a training, does not have it.
one_command = functools.partial(setting, kind="one command")
