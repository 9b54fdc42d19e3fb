"""Where people read, apart from the results on stdout."""

from rich.console import Console


def stderr(*, quiet: bool = False) -> Console:
    """For people, on stderr; names of files are never read as markup, nor lines broken in logs."""
    return Console(
        stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True, quiet=quiet
    )
