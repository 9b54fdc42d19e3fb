"""Consoles: lines are wrapped to fit a terminal, but stay whole in a file."""

import sys
from typing import Any, NoReturn

import rich.console

from hw2.terminal import stream

PLAIN = 80  # columns of a table in a file


class Console(rich.console.Console):
    """A console that leaves it to the program what a closed pipe means."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def stderr(*, quiet: bool = False) -> Console:
    """Returns the console for progress and warnings, which nobody needs to read."""
    return _console(stream.lasting(sys.stderr), stderr=True, quiet=quiet)


def stdout() -> Console:
    """Returns the console for results."""
    return _console(stream.exact(sys.stdout))


def _console(file: Any, *, stderr: bool = False, quiet: bool = False) -> Console:
    """Makes a console that reads no markup, and writes no colours to a file or with `NO_COLOR`.

    A notebook sets `FORCE_COLOR` for the commands that it starts, for which rich takes their pipes
    for terminals. A bar would leave a line there at each step.
    """
    out = Console(
        file=file,
        stderr=stderr,
        quiet=quiet,
        force_terminal=None if file is not None and file.isatty() else False,
        markup=False,
        emoji=False,
        highlight=False,
    )
    if not out.is_terminal:
        out.width, out.soft_wrap = PLAIN, True  # lines stay whole, to be searched
    return out
