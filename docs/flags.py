"""The page of all flags, made from the flags themselves while mkdocs builds the site."""

from __future__ import annotations

import argparse
import html
import runpy
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import hw2
from hw2.config.settings import FIELDS, TYPES
from hw2.terminal import noise

HEAD = """# Every flag

This page is generated from the flags.

`train.py`, `multi_gpu_train.py`, `eval.py`, `predict.py`, `python -m hw2.report`,
`python -m hw2.export` and `python -m hw2.commands.preview` take all flags of the first tables, so
that one flagfile serves them all; each uses those that concern it. Write `--name=value` on the
command line, or in a file given by `--flagfile=FILE`, one flag per line. For flags that are true or
false, write `--name` or `--noname`. The command line takes precedence over the file.
`--section=a,b` chooses sections of the file, such as those of `config.cfg`. `--help` prints this
list.
"""
COLUMNS = "| flag | default | what it is | it must be |\n|---|---|---|---|"


class Found(Exception):
    """Carries a parser out of the command that made it."""


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
    for name, parser in parsers():
        lines += ["", f"## python -m {name}", "", COLUMNS]
        lines += [_argument(action) for action in parser._actions if action.dest != "help"]
    return "\n".join(lines) + "\n"


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Name and parser of every command of the package that has flags of its own."""
    root = Path(hw2.__file__).parent
    for file in sorted(root.rglob("*.py")):
        code = file.read_text("utf-8")
        if '__name__ == "__main__"' in code and "argparse" in code:
            name = ".".join(file.relative_to(root.parent).with_suffix("").parts)
            name = name.removesuffix(".__main__")
            yield name, _parser(name)


def _parser(module: str) -> argparse.ArgumentParser:
    """What a command parses with: it is run up to there."""

    def found(parser: argparse.ArgumentParser, *_: object) -> None:
        raise Found(parser)

    with mock.patch.object(argparse.ArgumentParser, "parse_known_args", found):
        try:
            runpy.run_module(module, run_name="__main__")
        except Found as caught:
            return caught.args[0]
    raise ValueError(f"{module} must parse its arguments at once, it did not.")


def _argument(action: argparse.Action) -> str:
    """The row of an argument; without a help of its own it means what the flag of its name does."""
    shared = FIELDS.get(action.dest)
    flag = action.option_strings[-1] if action.option_strings else action.dest.upper()
    text = action.help or (shared.metadata["text"] if shared else "")
    if action.choices:
        rule = ", ".join(map(str, action.choices))
    elif action.nargs == 0:
        rule = TYPES[bool][1]
    else:
        rule = TYPES[action.type][1] if action.type in TYPES else "text"
    return _row(flag, "" if action.default is None else action.default, text, rule)


def _row(flag: str, default: object, text: str, rule: str) -> str:
    value = str(default).lower() if isinstance(default, bool) else str(default)
    cells = [f"`{flag}`", f"`{value}`" if value else "", html.escape(text), html.escape(rule)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
