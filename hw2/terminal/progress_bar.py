"""Progress of work on many files: a bar on a terminal, a line every ten seconds elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column

from hw2.terminal import console

SECONDS = 10.0  # between two lines where there is no terminal


@contextlib.contextmanager
def reporting(text: str, out: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """Shows progress within the block; yields a function to call with files done and files in all.

    Args:
      text: What is being done, for example "scanning".
      out: The console to show it on; stderr by default.
    """
    out = out or console.stderr()
    if not out.is_interactive:
        yield _lines(text, out)
        return
    words = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # numbers are never cut for them
    columns = (
        TextColumn("{task.description}", markup=False, table_column=words),
        BarColumn(12),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    above = console.stdout().is_terminal  # results in a file or a pipe go past the bar
    with Progress(
        *columns, console=out, transient=True, expand=True, redirect_stdout=above
    ) as progress:
        task = progress.add_task(text, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines(text: str, out: Console) -> Callable[[int, int], None]:
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS:
            last = time.monotonic()
            out.print(f"{text}: {done:,} of {total:,}")

    return report
