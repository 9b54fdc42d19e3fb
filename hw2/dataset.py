"""The data that the settings name, read and told of."""

from __future__ import annotations

import csv
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hw2.config import Config
from hw2.errors import UsageError
from hw2.input import bar, builtin, disk_cache, source
from hw2.input.examples import Examples
from hw2.input.paths import shown
from hw2.input.rules import Rules, default_cache_folder


def read(
    config: Config, path: str, part: str, out: Console, class_names: Sequence[str] | None = None
) -> Examples:
    """Reads a data set and prints what it is; labels follow a model's class names if given."""
    with bar.reporting(f"scanning {shown(path)}", out) as report:
        examples = source.read(path, part, rules(config), class_names=class_names, report=report)
    if class_names is not None:
        examples = examples.with_classes(class_names)
    if config.disk_cache:
        examples = disk_cache.kept(
            examples, lasting(config.disk_cache), warn=lambda text: out.print(f"warning: {text}")
        )
    out.print(f"{shown(path)}: {len(examples):,} pictures in {len(examples.class_names)} classes")
    for note in examples.notes:
        out.print(f"  note: {note}", style="dim")
    return examples


def rules(config: Config) -> Rules:
    """What the settings accept of the data."""
    names = {field.name for field in dataclasses.fields(Rules)} & vars(config).keys()
    return Rules(
        **{name: getattr(config, name) for name in names}, cache_folder=default_cache_folder()
    )


def write_skipped(path: Path, skipped: Sequence[tuple[str, str]]) -> None:
    """Names the bad pictures that were left out, each with its reason; no file for none."""
    if not skipped:
        path.unlink(missing_ok=True)  # of another time
        return
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        csv.writer(file).writerows([("name", "reason"), *skipped])


def lasting(path: str) -> str:
    """A path that means the same from any folder; names of built-in data stay."""
    if not path or path in builtin.NAMES:
        return path
    try:
        return os.path.abspath(os.path.expanduser(path))
    except FileNotFoundError:
        raise UsageError(
            f"cannot tell where {path} is - the working folder is gone; go to one that is there"
        ) from None
