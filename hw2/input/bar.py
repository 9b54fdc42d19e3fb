"""A bar for work on many files: live on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS = 10.0  # between two lines where there is no terminal


@contextlib.contextmanager
def reporting(text: str, console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """Gives a function of files done and files in all, and cleans up after it.

    Args:
      text: What is being done.
      console: Where to show it; stderr by default.
    """
    console = console or Console(
        file=sys.stderr, markup=False, emoji=False, highlight=False, soft_wrap=True
    )
    if not console.is_terminal:
        yield _lines(text, console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines(text: str, console: Console) -> Callable[[int, int], None]:
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS:
            last = time.monotonic()
            console.print(f"{text}: {done:,} of {total:,}")

    return report
