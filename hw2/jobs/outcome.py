"""How a training ends: a table, the next commands, one JSON line."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hw2.runs.folder import FLAGS
from hw2.training.rate_finder import Curve


def show(
    result: dict[str, Any],
    commands: list[list[str]],
    out: Console,
    sayings: Sequence[str] = (),
) -> None:
    """Prints a table and commands for people, and the JSON line for programs on stdout.

    Args:
      result: Names and values; a top-k accuracy stands beside its `k`.
      commands: Words of the commands to type next.
      out: Where people read.
      sayings: What the curves say, in sentences.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    k = result["k"]
    words = {
        "val_top1": "validation top-1",
        "val_topk": f"validation top-{k}",
        "test_top1": "test top-1",
        "test_topk": f"test top-{k}",
        "best_step": "best step",
        "step": "last step",
        "stop_reason": "stopped because",
        "seconds": "seconds",
        "log_path": "run folder",
    }
    for name, text in words.items():
        if name in result and not (k == 1 and name.endswith("topk")):
            value = result[name]
            table.add_row(text, f"{value:.4f}" if name.endswith(("top1", "topk")) else str(value))
    for number, saying in enumerate(sayings):
        table.add_row("" if number else "the curves say", saying)
    out.print(table)
    out.print("next:")
    for command in commands:
        for line in _lines(command, out.width if out.is_terminal else None):
            out.print(line, soft_wrap=True)  # to be copied: never cut
    print(json.dumps(result), flush=True)


def show_dry_run(result: dict[str, Any], out: Console) -> None:
    """Says that everything has worked once; the JSON line has what it came to."""
    out.print(
        f"dry run: read, took a step, evaluated a batch and saved in {result['seconds']} s; "
        "nothing was kept"
    )
    print(json.dumps({"dry_run": True, **result}), flush=True)


def show_rate(curve: Curve, files: Sequence[Path], out: Console) -> None:
    """Says where the loss falls fastest, and which files have the curve."""
    out.print(
        f"the loss falls fastest at --learning_rate={curve.suggestion:.1e}; a third of it is safe"
    )
    for file in files:
        out.print(f"  {file}")
    if files:
        line = {"learning_rate": curve.suggestion, "files": [str(file) for file in files]}
        print(json.dumps(line), flush=True)


def next_commands(folder: Path, test_data: str, k: int) -> list[list[str]]:
    """Evaluating, looking at and repeating the run in a folder, for the one who ran the script."""
    script = Path(sys.argv[0])
    python = Path(sys.executable)
    with contextlib.suppress(OSError):  # the working folder may be gone
        if python.is_relative_to(Path.cwd()):
            python = python.relative_to(Path.cwd())
    if script.name in ("hw2", "__main__.py"):
        hw2 = ["hw2"] if shutil.which("hw2") == f"{script}" else [f"{python}", "-m", "hw2"]
        evaluate, train = [*hw2, "eval", f"{folder}"], [*hw2, "train"]
    else:
        hw2, train = [f"{python}", "-m", "hw2"], [f"{python}", f"{script}"]
        evaluate = [f"{python}", f"{script.with_name('eval.py')}", f"--checkpoint_dir={folder}"]
    if test_data:
        evaluate.append(f"--test_data_path={test_data}")
    return [
        [*evaluate, f"--top_k={k}"],
        [*hw2, "report", f"{folder}"],
        [f"{python.with_name('tensorboard')}", f"--logdir={folder}"],
        [*train, f"--flagfile={folder / FLAGS}", "--log_path=runs/again"],
    ]


def _lines(command: Sequence[str], width: int | None) -> list[str]:
    """A command as a shell reads it: on one line, or on several that fit a terminal."""
    first, *rest = map(shlex.quote, command)
    lines, line = [], f"  {first}"
    for word in rest:
        if width and len(f"{line} {word} \\") > width:
            lines.append(f"{line} \\")
            line = "   "
        line += f" {word}"
    return [*lines, line]
