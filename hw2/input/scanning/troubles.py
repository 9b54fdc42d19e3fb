"""Everything that stops a training on some data, in one answer, with the flags that go on."""

from __future__ import annotations

import collections
import dataclasses
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence

from hw2.errors import DataError
from hw2.input.examples import Examples
from hw2.input.files.names import shown

LISTED = 20  # bad files named in one error about nothing else
NAMED = 3  # of each reason, where there are several kinds of trouble
REASONS = 8  # reasons in one list


Flags = Mapping[str, str | float | bool]


@dataclasses.dataclass(frozen=True)
class Trouble:
    """One kind of trouble.

    Attributes:
      line: What is wrong, and where.
      remedy: What to do about it.
      flags: Settings that go on without what is in trouble; none if there is no way.
      listed: Lines that follow where it is the only kind.
      details: Lines that follow among other kinds.
    """

    line: str
    remedy: str
    flags: Flags = dataclasses.field(default_factory=dict)
    listed: tuple[str, ...] = ()
    details: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """What is said where it is the only kind."""
        flags = f", or {' '.join(as_flags([self.flags]))}" if self.flags else ""
        listed = "".join(f"\n  {line}" for line in self.listed)
        return f"{self.line}; {self.remedy}{flags}{':' if listed else ''}{listed}"


class Troubles(DataError):
    """All kinds of trouble of some data.

    Attributes:
      source: What the user gave.
      found: The kinds, in the order in which they were found.
      notes: What is only told.
      examples: What is left without all that is in trouble, to look at further parts; None if
        that is nothing.
    """

    def __init__(
        self,
        source: str,
        found: Sequence[Trouble],
        notes: Sequence[str],
        examples: Examples | None,
        command: Sequence[str] = (),
    ):
        """Makes the message.

        Args:
          source: As the attribute, and so are `found`, `notes` and `examples`.
          found: At least one.
          notes: May be none.
          examples: May be None.
          command: The words of the command that the user gave; by default it is not repeated.
        """
        self.source, self.found, self.notes, self.examples = source, found, notes, examples
        super().__init__(found[0].message if len(found) == 1 else self._all(command))

    @property
    def flags(self) -> list[str]:
        """The flags that go on without all that is in trouble; none if there is no way."""
        if self.examples is None or not all(trouble.flags for trouble in self.found):
            return []
        return as_flags(trouble.flags for trouble in self.found)

    def _all(self, command: Sequence[str]) -> str:
        lines = [f"{len(self.found)} kinds of trouble in {shown(self.source)} stop the training:"]
        for trouble in self.found:
            lines += [
                f"  {trouble.line}; {trouble.remedy}",
                *(f"    {detail}" for detail in trouble.details),
            ]
        lines += [f"  only told: {note}" for note in self.notes]
        if self.flags:
            same = shlex.join(command) if command else "the same command with"
            lines.append(f"  to go on without them: {same} {' '.join(self.flags)}")
        return "\n".join(lines)


def as_flags(settings: Iterable[Flags]) -> list[str]:
    """Writes settings as flags; of a fraction the largest counts."""
    merged: dict[str, str | float | bool] = {}
    for some in settings:
        for name, value in some.items():
            both = isinstance(value, float) and name in merged
            merged[name] = max(merged[name], value) if both else value
    return [
        f"--{name}"
        if value is True
        else f"--{name}={value:g}"
        if isinstance(value, float)
        else f"--{name}={value}"
        for name, value in merged.items()
    ]


def bad_pictures(
    source: str,
    names: Mapping[str, str],
    messages: Sequence[str],
    count: int,
    *,
    skip: bool,
    max_fraction: float,
) -> Trouble | None:
    """The trouble with pictures that cannot be used, or None where they may be skipped.

    Args:
      source: What the user gave.
      names: Name and reason of each.
      messages: The message about each.
      count: How many pictures there are in all.
      skip: Whether bad pictures are skipped.
      max_fraction: How many of all at most, as a fraction.
    """
    bad = len(messages)
    too_many = bad > 0 and bad / count > max_fraction  # 0.29 * 100 is below 29
    if not bad or (skip and not too_many):
        return None
    flags: dict[str, str | float | bool] = {} if skip else {"on_bad_file": "skip"}
    if too_many:
        flags["max_bad_fraction"] = math.ceil(1000 * bad / count) / 1000
    line = f"bad pictures in {shown(source)} - {bad} of {count} cannot be used"
    if skip:
        line = f"too many {line}, over --max_bad_fraction={max_fraction:g}"
    more = [f"and {bad - LISTED} more"] if bad > LISTED else []
    listed = (*messages[:LISTED], *more)
    return Trouble(line, "replace or remove them", flags, listed, _by_reason(names))


def _by_reason(names: Mapping[str, str]) -> tuple[str, ...]:
    """Counts the reasons, and names the first few pictures of each."""
    of_each: dict[str, list[str]] = collections.defaultdict(list)
    for name, why in names.items():
        of_each[why].append(name)
    ordered = sorted(of_each.items(), key=lambda item: -len(item[1]))
    lines = []
    for why, some in ordered[:REASONS]:
        more = ", ..." if len(some) > NAMED else ""
        lines.append(f"{len(some):,} {why}: {', '.join(map(shown, some[:NAMED]))}{more}")
    if len(ordered) > REASONS:
        rest = sum(len(some) for _, some in ordered[REASONS:])
        lines.append(f"{rest:,} for other reasons")
    return tuple(lines)
