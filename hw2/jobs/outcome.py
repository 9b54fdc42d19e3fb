"""What came of a training: test scores, a table, the next commands, one JSON line."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hw2.config.settings import Config
from hw2.errors import Interrupted, RunError
from hw2.input.examples import Examples
from hw2.jobs import model
from hw2.jobs.evaluate import Evaluator
from hw2.jobs.resume import State
from hw2.jobs.start import Start
from hw2.machines.workers import Workers
from hw2.runs import diagnosis
from hw2.runs.folder import FLAGS
from hw2.training import losses, rate_finder
from hw2.training.learner import Learner
from hw2.training.metrics import Scores
from hw2.training.rate_finder import Curve


def find_rate(
    workers: Workers, start: Start, learner: Learner, batches: Iterable, out: Console
) -> None:
    """Tries rising learning rates in place of a training, and shows where the loss falls fastest.

    Raises:
      RunError: The run folder cannot be written.
    """
    curve = rate_finder.search(learner.train_step, iter(batches))
    files = workers.on_first(lambda: rate_finder.write(curve, start.folder.path))
    show_rate(curve, files or (), out)


def interrupted(stop: Interrupted, step: int) -> Interrupted:
    """Makes the message of a training that a signal has stopped, once its checkpoint is written."""
    name = signal.Signals(stop.signum).name
    return Interrupted(
        stop.signum, f"stopped by {name} at step {step}; rerun the command to resume"
    )


def conclude(
    config: Config,
    start: Start,
    state: State,
    best: Scores | None,
    test: Examples | None,
    started: float,
    out: Console,
) -> None:
    """Scores the best checkpoint on the test data, if there are any, and prints the results.

    Args:
      config: The settings.
      start: What the training started from.
      state: Where it has ended.
      best: Scores on the held-out pictures at the best step.
      test: The test data.
      started: When the program started, by `time.perf_counter`.
      out: Where people read.
    """
    run, folder = state.run, start.folder
    if start.checkpoint and run.step == start.checkpoint.step:
        out.print(f"already complete at step {run.step}: {run.stop_reason}")
    k = min(config.top_k, len(start.examples.class_names))
    result: dict[str, Any] = {"k": k, "step": run.step, "stop_reason": run.stop_reason}
    if best:
        result |= {"k": best.k, **_figures("val", best)}
        result["best_step"] = state.progress.plateau.best_step
    if test:
        checkpoint, tensors = model.choose(folder, "best")
        evaluator = Evaluator(
            start.spec,
            test,
            np.arange(len(test)),
            config.batch_size,
            result["k"],
            losses.named(config.loss, focal_gamma=config.focal_gamma),
        )
        scores = evaluator(checkpoint, tensors, "ema")
        result |= _figures("test", scores)
    result["seconds"] = round(time.perf_counter() - started, 1)
    if config.dry_run:
        show_dry_run(result, out)
        return
    result["log_path"] = str(folder.path)
    commands = next_commands(folder.path, config.test_data_path, result["k"])
    sayings: list[str] = []
    with contextlib.suppress(RunError):  # a disk that refused the rows was reported before
        sayings = diagnosis.diagnose_file(folder.path / "metrics.csv")
    show(result, commands, out, [] if config.overfit_batches else sayings)


def _figures(part: str, scores: Scores) -> dict[str, float]:
    """The scores of a part for the table and the JSON line; a run of before has fewer."""
    names = ("top1", "topk", "balanced_accuracy", "macro_f1")
    values = {f"{part}_{name}": getattr(scores, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def show(
    result: dict[str, Any],
    commands: list[list[str]],
    out: Console,
    sayings: Sequence[str] = (),
) -> None:
    """Prints a table and commands for people, and the JSON line for programs on stdout.

    Args:
      result: Results by name; `k` belongs to the top-k accuracies.
      commands: The commands to suggest, each as a list of words.
      out: The console to print on.
      sayings: What the curves say, in sentences.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    k = result["k"]
    words = {
        "val_top1": "validation top-1",
        "val_topk": f"validation top-{k}",
        "val_balanced_accuracy": "validation balanced accuracy",
        "val_macro_f1": "validation macro F1",
        "test_top1": "test top-1",
        "test_topk": f"test top-{k}",
        "test_balanced_accuracy": "test balanced accuracy",
        "test_macro_f1": "test macro F1",
        "best_step": "best step",
        "step": "last step",
        "stop_reason": "stopped because",
        "seconds": "seconds",
        "log_path": "run folder",
    }
    for name, text in words.items():
        if name in result and not (k == 1 and name.endswith("topk")):
            value = result[name]
            figure = name.startswith(("val_", "test_"))
            table.add_row(text, f"{value:.4f}" if figure else str(value))
    for number, saying in enumerate(sayings):
        table.add_row("" if number else "the curves say", saying)
    out.print(table)
    out.print("next:")
    for command in commands:
        for line in _lines(command, out.width if out.is_terminal else None):
            out.print(line, soft_wrap=True)  # to be copied: never cut
    print(json.dumps(result), flush=True)


def show_dry_run(result: dict[str, Any], out: Console) -> None:
    """Prints that every part of the training has worked once, and the results as a JSON line."""
    out.print(
        "dry run: read the data, took a step, evaluated a batch and saved a checkpoint in "
        f"{result['seconds']} s; nothing was kept"
    )
    print(json.dumps({"dry_run": True, **result}), flush=True)


def show_rate(curve: Curve, files: Sequence[Path], out: Console) -> None:
    """Prints where the loss falls fastest, and the files that hold the curve."""
    out.print(
        f"the loss falls fastest at --learning_rate={curve.suggestion:.1e}; a third of it is safe"
    )
    for file in files:
        out.print(f"  {file}")
    if files:
        line = {"learning_rate": curve.suggestion, "files": [str(file) for file in files]}
        print(json.dumps(line), flush=True)


def next_commands(folder: Path, test_data: str, k: int) -> list[list[str]]:
    """The commands that evaluate, show and repeat the run in a folder, as words."""
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
    """Quotes a command for the shell, on as many lines as the width of the terminal takes."""
    first, *rest = map(shlex.quote, command)
    lines, line = [], f"  {first}"
    for word in rest:
        if width and len(f"{line} {word} \\") > width:
            lines.append(f"{line} \\")
            line = "   "
        line += f" {word}"
    return [*lines, line]
