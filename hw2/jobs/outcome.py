"""What came of a training: test scores, a table, the next commands, one JSON line."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hw2.config.settings import Config
from hw2.errors import Interrupted, RunError
from hw2.input.examples import Examples
from hw2.jobs import calibration, model, multilabel, program
from hw2.jobs.batches import make_test_batches
from hw2.jobs.resume import State
from hw2.jobs.start import Start
from hw2.machines.workers import Workers
from hw2.runs import calibration as stored
from hw2.runs import diagnosis
from hw2.runs.calibration import Calibration
from hw2.runs.checkpoints import Checkpoint
from hw2.runs.folder import FLAGS, RunFolder
from hw2.training import rate_finder
from hw2.training.learner import Learner
from hw2.training.metrics import Outputs
from hw2.training.multilabel import AnyScores
from hw2.training.rate_finder import Curve

FIGURES = {  # what the scores of each part are called in the table
    "top1": "top-1",
    "topk": "top-k",
    "mean_average_precision": "mAP",
    "balanced_accuracy": "balanced accuracy",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "exact_match": "all labels right",
}


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


def restore_best(workers: Workers, start: Start, learner: Learner) -> Checkpoint:
    """Gives the averaged weights of a learner those of the best checkpoint, on every worker.

    Raises:
      RunError: No checkpoint is good, or workers see different ones.
    """
    checkpoint, tensors = model.choose(start.folder, "best")
    low, high = workers.barrier(checkpoint.step)
    if low != high:  # a network disk may show a new folder late
        raise RunError(
            f"different checkpoints in {start.folder.path} - workers see steps {low} and {high} as "
            "the best; rerun the command: the run is complete, and only its test is left"
        )
    model.restore_weights(learner.averaged, checkpoint, tensors, "ema")
    return checkpoint


def calibrate(
    config: Config,
    workers: Workers,
    checkpoint: Checkpoint,
    score: Callable[..., Any],
    validation: Iterable[tuple],
    out: Console,
) -> Calibration | None:
    """Fits the temperature of the best checkpoint to the held-out pictures, and writes it.

    To be called by every worker, once `restore_best` was.

    Args:
      config: The settings.
      workers: The workers of the training.
      checkpoint: The best one.
      score: Scores the averaged weights on batches, and hands their logits over.
      validation: The held-out pictures.
      out: Where people read.

    Returns:
      None where there are no held-out pictures or they have several labels, and on all workers
      but the first.
    """
    if config.overfit_batches:  # which validates on what it trains on
        return None
    if multilabel.is_of(checkpoint.state["identity"]):  # whose thresholds are chosen by class
        return None
    outputs = Outputs()
    score(validation, keep=outputs.add)

    def write() -> Calibration | None:
        try:
            found = calibration.fit(outputs, checkpoint, "ema")
            stored.write(RunFolder(checkpoint.path.parents[1]), found)
        except RunError as error:  # the training itself is complete
            out.print(f"warning: {error}")
            return None
        return found

    return workers.on_first(write)


def score_test(
    config: Config,
    workers: Workers,
    start: Start,
    score: Callable[..., Any],
    test: Examples | None,
) -> AnyScores | None:
    """Scores the best checkpoint on the test data, if there are any, each picture once.

    To be called by every worker, once `restore_best` was: all devices share the pictures, and a
    worker that computed with the variables of the strategy by itself would wait for the others
    without end.

    Args:
      config: The settings.
      workers: The workers of the training.
      start: What the training started from.
      score: Scores the averaged weights on batches.
      test: The test data.
    """
    if test is None:
        return None
    return score(make_test_batches(config, workers, start, test))


def conclude(
    config: Config,
    start: Start,
    state: State,
    best: AnyScores | None,
    tested: AnyScores | None,
    calibrated: Calibration | None,
    started: float,
    out: Console,
) -> None:
    """Prints the results.

    Args:
      config: The settings.
      start: What the training started from.
      state: Where it has ended.
      best: Scores on the held-out pictures at the best step.
      tested: Scores of the best checkpoint on the test data, if there are any.
      calibrated: Its calibration, if there is one.
      started: When the program started, by `time.perf_counter`.
      out: Where people read.
    """
    run, folder = state.run, start.folder
    if start.checkpoint and run.step == start.checkpoint.step:
        out.print(f"already complete at step {run.step}: {run.stop_reason}")
    result: dict[str, Any] = {"step": run.step, "stop_reason": run.stop_reason}
    if not multilabel.is_of(start.spec):
        k = min(config.top_k, len(start.examples.class_names))
        result = {"k": getattr(best, "k", k), **result}
    if best:
        result |= _figures("val", best)
        result["best_step"] = state.progress.plateau.best_step
    if tested:
        result |= _figures("test", tested)
        result["test_num_examples"] = tested.num_examples
    if calibrated:
        result["temperature"] = calibrated.temperature
        result |= {"val_ece_before": calibrated.ece_before, "val_ece": calibrated.ece_after}
    result["seconds"] = round(time.perf_counter() - started, 1)
    if config.dry_run:
        show_dry_run(result, out)
        return
    result["log_path"] = str(folder.path)
    commands = next_commands(folder.path, config.test_data_path, result.get("k"))
    sayings: list[str] = []
    with contextlib.suppress(RunError):  # a disk that refused the rows was reported before
        best_step = state.progress.plateau.best_step if best else None
        sayings = diagnosis.diagnose_file(folder.path / "metrics.csv", best_step)
    show(result, commands, out, [] if config.overfit_batches else sayings)


def _figures(part: str, scores: AnyScores) -> dict[str, float]:
    """The scores of a part for the table and the JSON line; a run of before has fewer."""
    values = {f"{part}_{name}": getattr(scores, name, None) for name in FIGURES}
    return {name: value for name, value in values.items() if value is not None}


def show(
    result: dict[str, Any],
    commands: list[list[str]],
    out: Console,
    sayings: Sequence[str] = (),
) -> None:
    """Prints a table and commands for people, and the JSON line for programs on stdout.

    Args:
      result: Results by name; `k` belongs to the top-k accuracies, if there are any.
      commands: The commands to suggest, each as a list of words.
      out: The console to print on.
      sayings: What the curves say, in sentences.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(overflow="fold")  # a path is never cut
    k = result.get("k")
    parts = (("val", "validation"), ("test", "test"))
    figures = FIGURES | {"topk": f"top-{k}"}
    words = {f"{part}_{n}": f"{word} {text}" for part, word in parts for n, text in figures.items()}
    words |= {
        "temperature": "temperature",
        "val_ece_before": "calibration error without it",
        "val_ece": "calibration error with it",
        "best_step": "best step",
        "step": "last step",
        "stop_reason": "stopped because",
        "seconds": "seconds",
        "log_path": "run folder",
    }
    for name, text in words.items():
        if name in result and not (k == 1 and name.endswith("topk")):
            value = result[name]
            figure = name.startswith(("val_", "test_", "temperature"))
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


def next_commands(folder: Path, test_data: str, k: int | None) -> list[list[str]]:
    """The commands that evaluate, show and repeat the run in a folder, as words."""
    script = program.script()
    python = Path(sys.executable)
    with contextlib.suppress(OSError):  # the working folder may be gone
        if python.is_relative_to(Path.cwd()):
            python = python.relative_to(Path.cwd())
    if script is None:
        installed = sys.argv and shutil.which("hw2") == sys.argv[0]
        hw2 = ["hw2"] if installed else [f"{python}", "-m", "hw2"]
        evaluate, train = [*hw2, "eval", f"{folder}"], [*hw2, "train"]
    else:
        hw2, train = [f"{python}", "-m", "hw2"], [f"{python}", f"{script}"]
        evaluate = [f"{python}", f"{script.with_name('eval.py')}", f"--checkpoint_dir={folder}"]
    if test_data:
        evaluate.append(f"--test_data_path={test_data}")
    return [
        [*evaluate, *([] if k is None else [f"--top_k={k}"])],
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
