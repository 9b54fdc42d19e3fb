"""Times peers side by side: one call each in turn, so that a slow minute slows all alike.

These are calls in one process; turns.py is for peers that need one each.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

from rich.console import Console
from rich.table import Table


def seconds(
    peers: dict[str, Callable[[], object]], *, rounds: int, least: float = 0.0
) -> dict[str, list[float]]:
    """Calls every peer once to warm up, then `rounds` times in turn.

    Args:
      peers: By name; each call must return only when its work is done.
      rounds: Timed calls of each.
      least: Seconds that all rounds together take at least, by more of them: short calls vary.

    Returns:
      The times of each peer's calls.
    """
    for call in peers.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in peers}
    begin = time.perf_counter()
    done = 0
    while done < rounds or time.perf_counter() - begin < least:
        done += 1
        for name, call in peers.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def medians(times: dict[str, list[float]]) -> dict[str, float]:
    """The median time of each peer."""
    return {name: statistics.median(values) for name, values in times.items()}


def spread(times: list[float]) -> float:
    """Half the distance of the quartiles, over the median."""
    low, middle, high = statistics.quantiles(times, n=4)
    return (high - low) / 2 / middle


def head(facts: dict[str, object], *, as_json: bool) -> None:
    """Prints on top what the figures depend on, see machine.py."""
    if as_json:
        print(json.dumps({"benchmark": "machine"} | facts))
        return
    print("\n".join(f"{name}: {value}" for name, value in facts.items()), end="\n\n", flush=True)


def show(title: str, rows: list[dict[str, object]], *, as_json: bool) -> None:
    """Prints rows as one table, or as one JSON object a line."""
    if as_json:
        for row in rows:
            print(json.dumps({"benchmark": title} | row))
        return
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()))
    Console(width=240).print(table)  # one line a row, in a file too
