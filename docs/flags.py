"""The page of all flags, made from the flags themselves while mkdocs builds the site."""

from __future__ import annotations

import html
import importlib
from collections.abc import Iterator
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from hw2.commands.main import COMMANDS
from hw2.config.settings import FIELDS, TYPES
from hw2.terminal import noise

HEAD = """# Every flag

This page is generated from the flags.

Every command accepts all flags of the first tables, so that one flagfile serves them all, and reads
those that concern it. Write `--name=value` on the command line, or in a file that `--flagfile=FILE`
names, one flag on each line; for flags that are true or false, write `--name` or `--noname`. The
command line overrides the file. `--section=a,b` chooses sections of the file, as `config.cfg` has
them. The flags that belong to one command alone stand on its command line. `hw2 COMMAND --help`
lists the flags of a command.
"""
COLUMNS = "| flag | default | what it is | it must be |\n|---|---|---|---|"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the page; mkdocs calls this."""
    noise.quiet_tensorflow()
    files.append(File.generated(config, "flags.md", content=page()))
    return files


def page() -> str:
    """The flags of `Config` under the headings of `--help`, then those of each command."""
    lines = [HEAD]
    for name, field in FIELDS.items():
        rule = field.metadata["rule"].words or TYPES[type(field.default)][1]
        if group := field.metadata["group"]:
            lines += ["", f"## {group}", "", COLUMNS]
        lines.append(_row(f"--{name}", field.default, field.metadata["text"], rule))
    for name, flags in own_flags():
        lines += ["", f"## hw2 {name}", "", COLUMNS]
        for flag, field in flags.items():
            rule = field.metadata["rule"].words or TYPES[type(field.default)][1]
            lines.append(_row(f"--{flag}", field.default, field.metadata["text"], rule))
    return "\n".join(lines) + "\n"


def own_flags() -> Iterator[tuple[str, dict[str, Any]]]:
    """Name of each command that has flags of its own, and these flags."""
    for name in COMMANDS:
        command = importlib.import_module(f"hw2.commands.{name}").COMMAND
        if command.flags:
            yield name, dict(command.flags)


def _row(flag: str, default: object, text: str, rule: str) -> str:
    value = str(default).lower() if isinstance(default, bool) else str(default)
    cells = [f"`{flag}`", f"`{value}`" if value else "", html.escape(text), html.escape(rule)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
