"""Consoles: lines are wrapped to fit a terminal, but stay whole in a file."""

from rich.console import Console

PLAIN = 80  # columns of a table in a file


def stderr(*, quiet: bool = False) -> Console:
    """Returns the console for progress and warnings."""
    return _console(stderr=True, quiet=quiet)


def stdout() -> Console:
    """Returns the console for results."""
    return _console()


def _console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Makes a console that reads no markup, and writes no colours to a file or with `NO_COLOR`."""
    out = Console(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)
    if not out.is_terminal:
        out.width, out.soft_wrap = PLAIN, True  # lines stay whole, to be searched
    return out
