"""Where people read: lines that fit a terminal, plain ones of any length in a file."""

from rich.console import Console

PLAIN = 80  # columns of a table in a file, whatever the terminal beside it has


def stderr(*, quiet: bool = False) -> Console:
    """For what goes on meanwhile."""
    return _console(stderr=True, quiet=quiet)


def stdout() -> Console:
    """For results that people read."""
    return _console()


def _console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Names of files are never read as markup; `NO_COLOR` and a file are without colours."""
    out = Console(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False)
    if not out.is_terminal:
        out.width, out.soft_wrap = PLAIN, True  # lines stay whole, to be searched
    return out
